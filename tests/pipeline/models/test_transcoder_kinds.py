"""A set encodes as its configuration says; what that does not mean here is refused (trap 39)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file

from pipeline.attribution.trace import candidates, trace
from pipeline.models import transcoders as loader
from pipeline.models.loading import load_replacement, load_transcoders
from pipeline.models.transcoders import read_transcoders
from store.base.errors import UserError
from store.documents.manifest import TranscoderSource
from tests.support.builders import Checkpoint, make_transcoders
from tests.support.hub_server import asked_by, hub_server
from tests.support.subjects import row_sums
from tests.support.traced_subject import Subject

THRESHOLD: Final = "activation_function.threshold"
K: Final = 6


def write(folder: Path, *, thresholds: bool, **said: Any) -> None:
    """Change a set's configuration, and take its thresholds away if it is to have none."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | said))
    if not thresholds:
        for path in folder.glob("layer_*.safetensors"):
            save_file({key: value for key, value in load_file(path).items() if key != THRESHOLD}, path)


def relu(layer: Mapping[str, np.ndarray], before: np.ndarray) -> np.ndarray:
    return np.maximum(before, 0)


def jump_relu(layer: Mapping[str, np.ndarray], before: np.ndarray) -> np.ndarray:
    return np.where(before > layer[THRESHOLD], before, 0)


def topk(layer: Mapping[str, np.ndarray], before: np.ndarray) -> np.ndarray:
    """The k largest, as they are: negative ones stay negative."""
    kept = np.zeros_like(before)
    for row, values in enumerate(before):
        chosen = sorted(range(len(values)), key=lambda feature: -values[feature])[:K]
        kept[row, chosen] = values[chosen]
    return kept


KINDS: Final = [
    pytest.param(relu, {"thresholds": False}, id="relu, unsaid"),
    pytest.param(relu, {"thresholds": False, "activation": "relu"}, id="relu"),
    pytest.param(jump_relu, {"thresholds": True}, id="jump_relu, unsaid"),
    pytest.param(jump_relu, {"thresholds": True, "activation": "jump_relu"}, id="jump_relu"),
    pytest.param(jump_relu, {"thresholds": True, "activation": "jumprelu"}, id="jumprelu"),
    pytest.param(topk, {"thresholds": False, "activation": "topk", "k": K}, id="topk"),
]


@pytest.mark.parametrize("lazy", [False, True], ids=["in memory", "from disk"])
@pytest.mark.parametrize(("activate", "said"), KINDS)
def test_a_set_encodes_as_it_was_trained(
    copy: Checkpoint,
    monkeypatch: pytest.MonkeyPatch,
    activate: Callable[[Mapping[str, np.ndarray], np.ndarray], np.ndarray],
    said: dict[str, Any],
    lazy: bool,
) -> None:
    write(copy.transcoders, **said)
    if lazy:
        monkeypatch.setattr(loader, "free_bytes", lambda device: 0)
    transcoders = load_transcoders(copy.manifest(), device=torch.device("cpu"))
    x = np.random.default_rng(0).normal(size=(3, 9, 32)).astype(np.float32)
    encoded = transcoders.encode(torch.from_numpy(x)).detach().numpy()
    for number in range(3):
        layer = load_file(copy.transcoders / f"layer_{number}.safetensors")
        expected = activate(layer, x[number].astype(np.float64) @ layer["W_enc"].T + layer["b_enc"])
        np.testing.assert_allclose(encoded[number], expected, rtol=0, atol=1e-5)
        assert expected.any()
        assert (transcoders[number].lazy_encoder, transcoders[number].lazy_decoder) == (lazy, lazy)


def test_a_graph_has_the_features_of_topk(copy: Checkpoint, subject: Subject) -> None:
    write(copy.transcoders, thresholds=False, activation="topk", k=K)
    manifest = copy.manifest()
    model = load_replacement(manifest, manifest.variant("base"), device=torch.device("cpu"))
    ids = subject.ids
    targets = candidates(model, ids, max_n_logits=4, desired_logit_prob=0.9)[0].tolist()
    # Few features: K of a layer of 64 with a bias upwards are never negative.
    with torch.no_grad():
        for transcoder in model.transcoders:
            transcoder.b_enc -= 2
    found = trace(model, ids, targets, max_feature_nodes=8192, batch_size=64)
    layer, position, _ = found.graph.active_features.T
    counts = torch.bincount(layer * len(ids) + position, minlength=3 * len(ids)).reshape(3, -1)
    assert counts[:, 0].tolist() == [0, 0, 0]  # BOS
    assert set(counts[:, 1:].flatten().tolist()) == {K}
    assert (found.graph.activation_values < 0).any()
    # Rows add up with negative activations, too: the features' writing is theirs to the sign.
    raw = found.raw_logits.double()
    centred = (raw - raw.mean())[targets]
    torch.testing.assert_close(row_sums(found)[-len(targets) :], centred, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"thresholds": True, "activation": "mystery"}, "activation is 'mystery'"),
        ({"thresholds": True, "activation": 5}, "activation is 5"),
        ({"thresholds": True, "activation": "relu"}, "thresholds, which only JumpReLU has"),
        ({"thresholds": True, "activation": "topk", "k": K}, "thresholds, which only JumpReLU has"),
        ({"thresholds": False, "activation": "jump_relu"}, f"has no {THRESHOLD}"),
        ({"thresholds": False, "activation": "topk"}, "k is None"),
        ({"thresholds": False, "activation": "topk", "k": 0}, "k is 0"),
        ({"thresholds": False, "activation": "topk", "k": True}, "k is True"),
        ({"thresholds": False, "activation": "topk", "k": 65}, "has only 64 features"),
        ({"thresholds": False, "k": K}, "which only TopK has"),
        ({"thresholds": True, "feature_input_hook": "somewhere"}, "feature_input_hook is 'somewhere'"),
        ({"thresholds": True, "feature_output_hook": ["a"]}, "feature_output_hook is ['a']"),
        ({"thresholds": True, "model_kind": "sparse_coder"}, "model_kind is 'sparse_coder'"),
        ({"thresholds": True, "scan": 5}, "scan is 5"),
    ],
    ids=str,
)
def test_another_value_is_refused(copy: Checkpoint, said: dict[str, Any], says: str) -> None:
    manifest = copy.manifest()
    write(copy.transcoders, **said)
    for load in (copy.manifest, lambda: load_transcoders(manifest)):
        with pytest.raises(UserError) as caught:
            load()
        assert str(caught.value).startswith(f"{copy.transcoders / 'config.yaml'}: ")
        assert says in str(caught.value)


@pytest.mark.parametrize(
    ("repository", "k"), [("facebook/crv-8b-instruct-transcoders", 128), ("some/set", None)]
)
def test_a_set_on_the_hub_goes_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: str, k: int | None
) -> None:
    # That one says `activation: topk` and leaves out how many.
    folder = tmp_path / "transcoders"
    make_transcoders(folder, 2, 16, 200, generator=torch.Generator().manual_seed(0))
    write(folder, thresholds=False, activation="topk")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    del config["transcoders"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    monkeypatch.chdir(tmp_path)
    with hub_server() as hub, asked_by(monkeypatch, hub, tmp_path / "cache"):
        commit = hub.upload(repository, folder)
        source = TranscoderSource(source=repository, revision=commit, fingerprint="")
        cpu = {"dtype": torch.float32, "device": torch.device("cpu")}
        if k is None:
            with pytest.raises(UserError, match="k is None; write how many"):
                read_transcoders(source, **cpu)
            return
        transcoders = read_transcoders(source, **cpu)
    assert transcoders.scan == f"{repository}@{commit}"
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(1))
    assert (transcoders.encode(x) != 0).sum(-1).unique().tolist() == [k]
