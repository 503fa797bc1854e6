"""Gemma-3 and GemmaScope 2: rotations by kind of layer, files of their own, four positions zeroed."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save

from pipeline.models.loading import load_causal_lm, load_replacement, load_transcoders
from pipeline.models.opening import require_opening
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from store.documents.variants import Variant
from tests.support.builders import CONTEXT, Checkpoint, make_checkpoint
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence

GENERAL = Variant(name="general", scale=1.0)


@pytest.mark.parametrize(
    "scaling",
    [None, {"rope_type": "linear", "factor": 8.0}, {"rope_type": "default", "factor": 8.0}],
    ids=["none", "linear", "default"],
)
def test_gemma3_turns_local_and_global_layers_at_bases_of_their_own(
    tmp_path: Path, scaling: dict[str, Any] | None
) -> None:
    """As gemma-3-1b has it: one key head, five local layers to a global one; scaled as in 4b, or not."""
    checkpoint = make_checkpoint(tmp_path / "x", architecture="gemma3", n_layers=7, n_key_value_heads=1)
    path = checkpoint.base / "config.json"
    config = json.loads(path.read_text()) | {"layer_types": None, "sliding_window_pattern": 6}
    config["rope_scaling"] = scaling
    path.write_text(json.dumps(config))
    manifest = checkpoint.manifest()
    ids = torch.randint(3, 300, (1, CONTEXT), generator=torch.Generator().manual_seed(0))  # four windows
    model, replacement = load_causal_lm(manifest, GENERAL), load_replacement(manifest, GENERAL)
    assert [block.attn.attn_type for block in replacement.blocks] == [*["local"] * 5, "global", "local"]
    with torch.no_grad():
        expected, got = model(ids).logits, replacement(ids)
    torch.testing.assert_close(got, expected, rtol=0, atol=3e-5)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "by 'yarn'; supported is 'linear'"),
        ({"use_bidirectional_attention": True}, "attends in both directions"),
        ({"architectures": ["Gemma3ForConditionalGeneration"]}, "is a Gemma3ForC.*; supported are"),
    ],
)
def test_gemma3_that_cannot_be_traced_is_refused(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    checkpoint = make_checkpoint(tmp_path / "x", architecture="gemma3", n_layers=2)
    path = checkpoint.base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | said))
    with pytest.raises(UserError, match=message):
        checkpoint.manifest()


SCOPE = "mwhanna/gemma-scope-2-1b-it/transcoder_all/width_16k_l0_small_affine"
ARRAYS = "google/gemma-scope-2-1b-it"


def upload_scope(
    hub: HubServer, checkpoint: Checkpoint, changed: int = 2, **changes: torch.Tensor | None
) -> None:
    """The checkpoint's transcoders, with skips, in GemmaScope 2's files; `changes` to one layer's."""
    files = {}
    for layer in range(3):
        stored = load_file(checkpoint.transcoders / f"layer_{layer}.safetensors")
        tensors: dict[str, torch.Tensor | None] = {name: stored[name] for name in ("b_enc", "b_dec")}
        tensors |= {"w_enc": stored["W_enc"].T.contiguous(), "w_dec": stored["W_dec"]}
        tensors |= {
            "threshold": stored["activation_function.threshold"],
            "affine_skip_connection": skip_of(layer),
        }
        tensors |= changes if layer == changed else {}
        name = f"transcoder_all/layer_{layer}_width_16k_l0_small_affine/params.safetensors"
        files[name] = save({name: each for name, each in tensors.items() if each is not None})
    hub.upload(ARRAYS, files)
    config = {
        "model_kind": "transcoder_set",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "hook_mlp_out",
        "transcoders": [f"hf://{ARRAYS}/{name}" for name in files],
    }
    path = f"{SCOPE.partition('1b-it/')[2]}/config.yaml"
    hub.upload("mwhanna/gemma-scope-2-1b-it", {path: yaml.safe_dump(config).encode()})


def skip_of(layer: int) -> torch.Tensor:
    return torch.randn(32, 32, generator=torch.Generator().manual_seed(layer)) / 6


def test_gemma_scope_2_is_read_from_its_own_files(hub: HubServer, checkpoint: Checkpoint) -> None:
    upload_scope(hub, checkpoint)
    manifest = checkpoint.manifest(transcoders=SCOPE)
    assert manifest.transcoders.repositories == {f"{ARRAYS}@main": hub.commit(ARRAYS, "main")}
    assert manifest.model.feature_output_hook == "hook_mlp_out"
    # Streamed, too: circuit-tracer holds them whole, and would warn of it.
    found, expected = load_transcoders(manifest, streamed=True), load_transcoders(checkpoint.manifest())
    x = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.encode(x), expected.encode(x))
    for layer in range(3):
        assert torch.equal(found[layer].W_dec, expected[layer].W_dec)
        torch.testing.assert_close(found.compute_skip(layer, x[layer]), x[layer] @ skip_of(layer))


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("w_enc", torch.zeros(64, 32), r"'w_enc' has shape \(64, 32\), but \(32, 64\) is expected"),
        ("threshold", None, "'threshold' is missing"),
        ("affine_skip_connection", None, "'affine_skip_connection' is missing"),
    ],
)
def test_gemma_scope_2_of_another_form_is_refused(
    hub: HubServer, checkpoint: Checkpoint, name: str, tensor: torch.Tensor | None, message: str
) -> None:
    upload_scope(hub, checkpoint, **{name: tensor})
    assert re.search(message, one_sentence(lambda: checkpoint.manifest(transcoders=SCOPE)))


def test_skips_that_the_first_layer_lacks_are_refused(hub: HubServer, checkpoint: Checkpoint) -> None:
    """circuit-tracer asks the first layer alone whether there are any, and would leave them out."""
    upload_scope(hub, checkpoint, changed=0, affine_skip_connection=None)
    said = one_sentence(lambda: checkpoint.manifest(transcoders=SCOPE))
    assert "tensor 'affine_skip_connection' is not expected beside b_enc, b_dec, threshold" in said
    assert "layer_1_width_16k" in said


CHAT = ("<bos>", "<start_of_turn>", "user", "\n", "Hi")


def subject(checkpoint: Checkpoint, name: str) -> Manifest:
    manifest = checkpoint.manifest()
    model = replace(manifest.model, architecture="Gemma3ForCausalLM")
    return replace(manifest, model=model, base=replace(manifest.base, source=name))


def prompt(*tokens: str) -> Prompt:
    return Prompt(
        hash="0" * 12,
        name="x",
        situation="x",
        domain=None,
        held_out=False,
        tags=(),
        text="".join(tokens),
        token_ids=tuple(range(len(tokens))),
        tokens=tokens,
        source="mine.jsonl:1",
    )


def test_prompts_of_gemma3_open_as_what_it_is_called(checkpoint: Checkpoint) -> None:
    plain, chat = prompt("<bos>", "The", " sky", " is", " so"), prompt(*CHAT)
    require_opening(subject(checkpoint, "google/gemma-3-1b-pt"), [plain])
    require_opening(subject(checkpoint, "google/gemma-3-1b-it"), [chat])
    require_opening(checkpoint.manifest(), [plain, chat])


@pytest.mark.parametrize(
    ("name", "tokens", "message"),
    [
        ("google/gemma-3-1b-it", ("<bos>", "The", " sky", " is", " so"), "does not open with"),
        ("google/gemma-3-1b-it", CHAT[:4], "does not open with"),
        ("models/my-own", CHAT, "is not called as an instruction-tuned Gemma-3 is"),
    ],
)
def test_prompts_that_open_otherwise_are_refused(
    checkpoint: Checkpoint, name: str, tokens: tuple[str, ...], message: str
) -> None:
    named = subject(checkpoint, name)
    assert message in one_sentence(lambda: require_opening(named, [prompt(*tokens)]))
