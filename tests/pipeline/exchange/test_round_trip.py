"""Export to circuit-tracer's file, import, export again: nothing changes by a bit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph, compute_graph_scores
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig, convert_nnsight_config_to_transformerlens

from pipeline.analysis.stored_graph import prune_stored, stored_scores
from pipeline.exchange.exporting import export_pt
from pipeline.exchange.graph_metadata import facts_of_profile
from pipeline.exchange.importing import import_graph
from pipeline.exchange.safe_pt import read_graph
from pipeline.exchange.stored_graphs import StoredGraphs
from pipeline.models.loading import load_replacement
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.reader import open_collection
from store.collections.writer import write_collection
from store.schema.graphs import FULL_GRAPHS
from store.views.graph import GraphView
from tests.support.builders import make_checkpoint
from tests.support.exchange_project import PROFILE, VARIANTS, Project

UNKNOWN = {"target_logit", "target_centred_logit", "row_constant"}
"""What a file does not hold at all."""


def assert_same(found: Graph, wanted: Graph) -> None:
    """Equal in every attribute; tensors in dtype, shape and bits (0.0 is not -0.0)."""
    assert vars(found).keys() == vars(wanted).keys()
    for name, value in vars(wanted).items():
        other = getattr(found, name)
        if isinstance(value, torch.Tensor):
            assert (other.dtype, other.shape) == (value.dtype, value.shape), name
            bits = [tensor.contiguous().view(torch.uint8) for tensor in (other, value)]
            assert torch.equal(*bits), name
        else:
            assert other == value, name
            assert type(other) is type(value), name


def exported(project: Project, variant: str, *, imported: bool = False) -> bytes:
    stored = StoredGraphs(PROFILE, imported=imported)
    return export_pt(stored, project.first, variant, project.params)


def written(graph: Graph, path: Path) -> Path:
    graph.to_pt(str(path))
    return path


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_file_is_the_traced_graph_bit_for_bit(project: Project, variant: str) -> None:
    path = project.root / "graph.pt"
    path.write_bytes(exported(project, variant))
    traced = project.graph(variant)
    assert_same(Graph.from_pt(str(path)), traced)
    assert_same(read_graph(path), traced)
    assert compute_graph_scores(Graph.from_pt(str(path))) == compute_graph_scores(traced)


@pytest.mark.parametrize("variant", VARIANTS)
def test_export_import_export_gives_the_same_file(project: Project, variant: str) -> None:
    path = project.root / "theirs.pt"
    path.write_bytes(exported(project, variant))
    done = import_graph(path, PROFILE, project.params)
    assert (done.prompt_hash, done.variant, done.known_prompt) == (project.first, "theirs", True)
    assert done.other_model is None
    assert exported(project, "theirs", imported=True) == path.read_bytes()


def strange(graph: Graph) -> Graph:
    """The same graph with what only other people's files have."""
    adjacency = graph.adjacency_matrix.clone()
    adjacency[-1, (adjacency[-1] == 0).nonzero()[0]] = -0.0
    targets = [LogitTarget(token_str="cats - dogs", vocab_idx=graph.vocab_size), *graph.logit_targets[1:]]
    return Graph(
        **{name: value for name, value in vars(graph).items() if name != "n_pos"}
        | {
            "adjacency_matrix": adjacency,
            "activation_values": graph.activation_values.to(torch.bfloat16),
            "logit_probabilities": graph.logit_probabilities.to(torch.float16),
            "logit_targets": targets,
            "scan": ["one/set", "another/set"],
            "input_string": 'a "text" \ud83d of\nits own',
        }
    )


def test_other_dtypes_minus_zero_and_names_survive(project: Project) -> None:
    graph = strange(project.graph("base"))
    path = written(graph, project.root / "strange.pt")
    import_graph(path, PROFILE, project.params)
    again = project.root / "again.pt"
    again.write_bytes(exported(project, "strange", imported=True))
    assert_same(Graph.from_pt(str(again)), graph)
    assert torch.signbit(read_graph(again).adjacency_matrix[-1]).any()


def test_targets_as_a_tensor_are_read_as_circuit_tracer_reads_them(project: Project) -> None:
    path = written(project.graph("base"), project.root / "old.pt")
    with torch.serialization.safe_globals([LogitTarget, UnifiedConfig]):
        content = torch.load(path, weights_only=True)
    content["logit_targets"] = torch.tensor([target.vocab_idx for target in content["logit_targets"]])
    torch.save(content, path)
    assert_same(read_graph(path), Graph.from_pt(str(path)))


def items(project: Project, variant: str) -> tuple[Item, Item]:
    """A graph as the pipeline stored it, and as it is stored after its file was imported."""
    path = project.root / "theirs.pt"
    path.write_bytes(exported(project, variant))
    import_graph(path, PROFILE, project.params)
    return (
        StoredGraphs(PROFILE).item(project.first, variant),
        StoredGraphs(PROFILE, imported=True).item(project.first, "theirs"),
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_imported_item_is_the_pipelines_but_for_what_nobody_knows(project: Project, variant: str) -> None:
    own, imported = items(project, variant)
    assert own.arrays.keys() == imported.arrays.keys()
    selected = own.arrays["active_selected"]
    for name, values in own.arrays.items():
        found = imported.arrays[name]
        if name in UNKNOWN or ("unselected" in name and not selected.all()):
            assert np.isnan(found).all(), name
            assert found.shape == values.shape, name
        elif name == "direct":
            np.testing.assert_array_equal(found[:, selected], values[:, selected])
            assert np.isnan(found[:, ~selected]).all()
        elif name == "total_effect":
            # Known through the selected features only, and summed in another order where these are all.
            if selected.all():
                np.testing.assert_allclose(found, values, rtol=0, atol=1e-5 * np.abs(values).max())
        else:
            np.testing.assert_array_equal(found, values, err_msg=name)
    assert own.scalars == imported.scalars


def test_both_kinds_of_selection_were_compared(project: Project) -> None:
    graphs = StoredGraphs(PROFILE).graphs
    complete = [graphs.item(project.first, name).arrays["active_selected"].all() for name in VARIANTS]
    assert complete == [False, True]


def test_the_graph_view_opens_an_imported_graph(project: Project) -> None:
    own, imported = (GraphView(item) for item in items(project, "general@1.0"))
    for threshold in (0.8, 0.5):
        for mask in ("nodes", "edges"):
            found, wanted = (getattr(prune_stored(view, threshold, 0.98), mask) for view in (imported, own))
            np.testing.assert_array_equal(found, wanted)
    assert stored_scores(imported) == stored_scores(own)
    assert imported.nodes.equals(own.nodes)


def test_what_is_not_stored_says_how_to_have_it_stored(project: Project) -> None:
    with pytest.raises(UserError, match=r"the tag `full` .*`graphs.full: always`.*`dvc repro`"):
        export_pt(StoredGraphs(PROFILE), project.prompts[1].hash, "base", project.params)


def test_a_graph_and_an_adjacency_of_different_runs_are_not_mixed(project: Project) -> None:
    path = project.root / "artifacts" / PROFILE / "full_graphs"
    mixed = [Item(**{**vars(item), "key": "f" * 64}) for item in open_collection(path).items()]
    write_collection(path, FULL_GRAPHS, mixed, provenance={})
    with pytest.raises(UserError, match="different runs"):
        exported(project, "base")


@pytest.mark.parametrize(
    ("architecture", "heads", "dtype"),
    [
        ("llama", 4, "float32"),
        ("qwen3", 2, "float32"),
        ("gemma2", 2, "float32"),
        ("llama", 2, "bfloat16"),
    ],
)
def test_configuration_and_scan_are_known_without_the_weights(
    tmp_path: Path, architecture: str, heads: int, dtype: str
) -> None:
    checkpoint = make_checkpoint(
        tmp_path / "x", architecture=architecture, n_layers=2, n_key_value_heads=heads
    )
    manifest = checkpoint.manifest(dtype=dtype)
    item = Item(
        key="0" * 64,
        prompt_hash="0" * 12,
        variant="base",
        arrays={
            "active_value": np.array([0.5, 1.25], np.float32),
            "token": np.array([1, 5, 6], np.int32),
            "target_token": np.array([7], np.int32),
        },
        scalars={},
    )
    facts = facts_of_profile(manifest, item)
    model = load_replacement(manifest, manifest.variant("base"))
    assert facts.config == convert_nnsight_config_to_transformerlens(model.cfg)
    assert facts.scan == model.scan
    assert facts.input_string == model.tokenizer.decode(torch.tensor([1, 5, 6]))
    assert facts.target_words == (model.tokenizer.decode(7),)
    assert facts.vocab_size == model.tokenizer.vocab_size
    assert facts.value_dtype == model.cfg.dtype


def test_a_value_is_never_rounded_to_the_profiles_dtype(tmp_path: Path) -> None:
    manifest = make_checkpoint(tmp_path / "x", n_layers=2).manifest(dtype="bfloat16")
    arrays = {"token": np.array([1]), "target_token": np.array([2]), "active_value": np.float32([1.001])}
    item = Item(key="0" * 64, prompt_hash="0" * 12, variant="base", arrays=arrays, scalars={})
    assert facts_of_profile(manifest, item).value_dtype == torch.float32
