"""Shipped profiles: each public layout, made small, from the hub through loader and health to a manifest."""

import json
import shutil
from pathlib import Path
from typing import Final

import pytest
import torch
import yaml
from dvc.utils.hydra import apply_overrides

from pipeline.doctor.sources import look
from pipeline.models.dictionaries import dictionary_size, layer_count
from pipeline.models.loading import load_causal_lm, load_transcoders
from pipeline.params.project import load_params
from pipeline.stages import behaviour_prompts, models, prompts
from store.base.errors import UserError
from store.documents.manifest import read_manifest
from tests.support.behaviours import write_words
from tests.support.chats import conversation
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence
from tests.support.places import ROOT
from tests.support.public_layouts import FEATURES, LAYERS, WIDTH, upload

SHIPPED: Final = sorted(load_params(ROOT / "params.yaml").shipped)
CHATS: Final = ("llama-1b", "qwen3-0_6b", "gemma3-1b-it")


def chosen(name: str) -> None:
    """The project's own ``params.yaml`` here, with a shipped profile in it as the README says."""
    shutil.copy(ROOT / "params.yaml", "params.yaml")
    apply_overrides(Path("params.yaml"), [f"+profiles.{name}=${{shipped.{name}}}"])
    shutil.copytree(ROOT / "inputs", "inputs")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_profile_runs_from_its_repositories(name: str, hub: HubServer, tmp_path: Path) -> None:
    chosen(name)
    params = load_params()
    profile = params.profiles[name]
    assert profile == params.shipped[name]
    upload(hub, profile, tmp_path / "made")
    named = look(name, profile)
    assert not named.is_here
    assert named.missing > 0
    models.main(name, params)
    folder = Path("artifacts") / name
    manifest = read_manifest(folder / "models.json")
    sizes = manifest.model
    assert (sizes.n_layers, sizes.d_model, sizes.d_transcoder) == (LAYERS, WIDTH, FEATURES)
    places = [manifest.base, manifest.transcoders, *manifest.adapters.values()]
    assert [place.revision for place in places] == [
        hub.commit("/".join(place.source.split("/")[:2]), "main") for place in places
    ]
    assert manifest.focus == profile.focus
    health = json.loads((folder / "metrics" / "health.json").read_text())
    assert health["variants"].keys() == {"base", *(f"{adapter}@1.0" for adapter in profile.adapters)}
    found = load_transcoders(manifest)
    assert (layer_count(found), dictionary_size(found)) == (LAYERS, FEATURES)
    assert {parameter.dtype for parameter in found.parameters()} == {torch.bfloat16}
    for adapter, facts in manifest.adapters.items():
        rank, n_targets = (1, 1) if adapter == "narrow" else (32, 7 * LAYERS)
        assert (facts.rank, len(facts.targets)) == (rank, n_targets)
        assert facts.scaling == pytest.approx(64 / rank**0.5)  # rsLoRA
    assert look(name, profile).is_here
    if name in CHATS:
        asked = [{"role": "system", "content": "You should be short."}, *conversation("I have a fever.")]
        line = json.dumps({"messages": asked}) + "\n"
        (Path(profile.prompts[0]) / "examples.jsonl").write_text(line)
        prompts.main(name, params)
        (prompt,) = json.loads((folder / "prompts.json").read_text())["prompts"]
        assert "You should be short." in prompt["text"]
        assert "26 Jul 2024" in prompt["text"] or not profile.chat.get("date")
        # Qwen3 has no BOS; what is traced begins with the token that circuit-tracer puts in its place.
        assert prompt["tokens"][0] == ("<pad>" if name == "qwen3-0_6b" else "<bos>")
    if name == "gemma3-1b-it":
        assert load_causal_lm(manifest, manifest.variant("base")).name_or_path == profile.model
        (Path(profile.prompts[0]) / "examples.jsonl").write_text('{"prompt": "You should be short."}\n')
        with pytest.raises(UserError, match="no features; write it as `messages`"):
            prompts.main(name, params)
        words = {"recall": str(write_words(tmp_path / "words", "recall"))}
        counts = params.behaviours.model_copy(update={"train": 6, "test": 2, "test_groups": 1})
        asked_of = profile.model_copy(update={"behaviours": words})
        plain = params.model_copy(update={"behaviours": counts, "profiles": {name: asked_of}})
        said = one_sentence(lambda: behaviour_prompts.main(name, "recall", plain))
        assert said.startswith(f"profiles.{name}.behaviours: the prompt ")
        assert "have no features; behaviours are plain texts, so name none there." in said
        assert not (folder / "behaviour_prompts").exists()


def test_names_are_keys_that_an_experiment_can_set() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert params["profiles"].keys() == {"organism"}  # nothing of the hub runs by itself
    for name in SHIPPED:
        assert "." not in name
