"""Units of graphs: one target set, and a prompt that cannot be traced says where it went wrong."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pipeline.analysis.targets import in_order, target_set
from pipeline.attribution.graph_units import (
    candidate_units,
    candidates_of,
    dose_unit,
    graph_unit,
    published_candidates,
)
from pipeline.items.cache import ItemCache
from pipeline.items.executor import Executor, in_this_process, lacks, with_helpers
from pipeline.items.model_source import ModelSource
from pipeline.items.subject import Subject
from pipeline.params.project import load_params
from pipeline.params.runtime import RuntimeParams
from store.collections.reader import open_collection
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from store.schema.candidates import CANDIDATES
from store.schema.registry import COLLECTIONS
from tests.support.builders import make_checkpoint
from tests.support.items import PROMPT

GRAPHS = load_params().graphs.model_copy(update={"max_n_logits": 3, "max_feature_nodes": 20, "batch_size": 8})
PAIR = ["base", "general@1.0"]
BOS = 1


def lose_embedding(base: Path, token: int) -> None:
    """Every number at a token's position, and behind it, is NaN from now on."""
    (path,) = base.glob("*.safetensors")
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"][token] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})


def make_subject(manifest: Manifest, prompts: list[Prompt], cache: Path) -> Subject:
    subject = Subject.__new__(Subject)  # no artifacts of a pipeline
    subject.manifest, subject.runtime = manifest, load_params().runtime
    subject.source = ModelSource(manifest=manifest, runtime=subject.runtime)
    subject.prompts = {prompt.hash: prompt for prompt in prompts}
    subject.cache, subject.folder = ItemCache(cache / "items"), cache
    return subject


def make_prompt(number: int, ids: list[int]) -> Prompt:
    return replace(PROMPT, hash=f"{number:012x}", token_ids=(BOS, *ids), tags=())


def test_a_prompt_that_cannot_be_traced_stops_no_other(tmp_path: Path) -> None:
    manifest, bad_token = make_checkpoint(tmp_path / "checkpoint").manifest(), 40
    good, bad = make_prompt(0, [10, 11, 12]), make_prompt(1, [10, bad_token, 12])
    subject = make_subject(manifest, [good, bad], tmp_path)
    chosen = candidate_units(subject, {prompt.hash: PAIR for prompt in (good, bad)}, GRAPHS)
    assert in_this_process(chosen, subject.source, subject.cache, "candidates") == []
    own = candidates_of(chosen, subject.cache)
    lose_embedding(Path(manifest.base.source), bad_token)
    subject.source = replace(subject.source)  # loads them anew
    units = [graph_unit(subject, prompt, own[prompt.hash], GRAPHS) for prompt in (bad, good)]
    (failure,) = in_this_process(units, subject.source, subject.cache, "graphs")
    assert failure.prompt_hash == bad.hash
    assert failure.variants == tuple(PAIR)
    # Masked attention multiplies by 0, which leaves NaN: the first traced position has it, too.
    assert (failure.layer, failure.position, failure.token) == (0, 1, bad.token_ids[1])
    assert "NaN or infinite" in failure.reason
    assert not lacks(subject.cache, units[1])
    assert len(lacks(subject.cache, units[0])) == 3


def test_candidates_of_a_prompt_count_when_they_are_whole(manifest: Manifest, tmp_path: Path) -> None:
    prompt = make_prompt(0, [10, 11])
    subject = make_subject(manifest, [prompt], tmp_path)
    chosen = candidate_units(subject, {prompt.hash: PAIR}, GRAPHS)
    in_this_process(chosen[:1], subject.source, subject.cache, "candidates")
    assert candidates_of(chosen, subject.cache) == {}


def test_published_candidates_are_those_of_the_cache(manifest: Manifest, tmp_path: Path) -> None:
    """Most probable first; a prompt that lacks a wanted variant, or has failed, is left out."""
    whole, part, failed = (make_prompt(number, [10, 11 + number]) for number in range(3))
    subject = make_subject(manifest, [whole, part, failed], tmp_path)
    wanted = {prompt.hash: PAIR for prompt in (whole, part, failed)}
    units = candidate_units(subject, {whole.hash: PAIR, part.hash: PAIR[:1]}, GRAPHS)
    assert subject.publish("candidates", units, [CANDIDATES], {}) == []
    found = published_candidates(open_collection(subject.folder / "candidates"), wanted)
    assert found == candidates_of(units[:2], subject.cache)
    assert list(found) == [whole.hash]
    probabilities = open_collection(subject.folder / "candidates").item(whole.hash, PAIR[0]).arrays
    assert (np.diff(probabilities["candidate_probability"]) <= 0).all()


def test_outputs_are_kinds_of_the_store(manifest: Manifest, tmp_path: Path) -> None:
    prompt = make_prompt(0, [10, 11])
    subject = make_subject(manifest, [prompt], tmp_path)
    own = {"general@1.0": [1, 2], "base": [2, 3]}
    always = GRAPHS.model_copy(update={"full": "always"})
    unit = graph_unit(subject, prompt, own, always)
    assert {kind for kind, _ in unit.outputs} == {"graphs", "adapters", "full_graphs"}
    assert ("adapters", "base") not in unit.outputs
    assert {kind for kind, _ in dose_unit(subject, prompt, own, GRAPHS).outputs} == {"dose"}
    assert {kind for kind, _ in unit.outputs} | {"dose", "candidates"} <= COLLECTIONS.keys()
    assert unit.arguments["targets"] == [2, 3, 1]
    assert unit.variants == ("base", "general@1.0")


def test_base_comes_first_then_names() -> None:
    assert in_order(["narrow@1.0", "base", "general@1.0", "base"]) == ["base", "general@1.0", "narrow@1.0"]
    assert target_set({"b@1.0": [4, 1], "a@1.0": [3, 4], "base": [1, 2]}) == [1, 2, 3, 4]


def test_what_a_prompt_names_is_traced_by_every_variant_likely_or_not(
    manifest: Manifest, tmp_path: Path
) -> None:
    """And is no candidate for it; where a prompt names nothing, arguments and so keys are as they were."""
    plain = make_prompt(0, [10, 11])
    subject = make_subject(manifest, [plain], tmp_path)
    own = {"general@1.0": [1, 2], "base": [2, 3]}
    prompt = replace(plain, evil_targets=(30,), safe_targets=(2, 31))
    for make in (graph_unit, dose_unit):
        assert make(subject, plain, own, GRAPHS).arguments["targets"] == [2, 3, 1]
        assert make(subject, prompt, own, GRAPHS).arguments["targets"] == [2, 3, 1, 30, 31]
    unit = graph_unit(subject, prompt, own, GRAPHS)
    assert in_this_process([unit], subject.source, subject.cache, "graphs") == []
    for variant in PAIR:
        item = subject.cache.get("graphs", unit.item(variant).key)
        assert item is not None
        assert item.arrays["target_token"].tolist() == [2, 3, 1, 30, 31]
        likely = [token in own[variant] for token in (2, 3, 1, 30, 31)]
        assert item.arrays["target_is_candidate"].tolist() == likely
        assert np.isfinite(item.arrays["target_probability"]).all()


def test_helpers_and_workers_give_the_same_bytes_by_one_thread_each(
    manifest: Manifest, tmp_path: Path, dask: Executor
) -> None:
    prompts = [make_prompt(number, [10 + number, 11, 12]) for number in range(8)]
    files = {}
    executors = {"alone": in_this_process, "helped": with_helpers(2, worth=0), "on workers": dask}
    for name, executor in executors.items():
        subject = make_subject(manifest, prompts, tmp_path / name)
        subject.source = ModelSource(manifest=manifest, runtime=RuntimeParams(seed=0, threads=2))
        subject.runtime = subject.source.runtime
        chosen = candidate_units(subject, {prompt.hash: PAIR for prompt in prompts}, GRAPHS)
        assert executor(chosen, subject.source, subject.cache, "candidates") == []
        assert torch.get_num_threads() == 1
        own = candidates_of(chosen, subject.cache)
        units = [graph_unit(subject, prompt, own[prompt.hash], GRAPHS) for prompt in prompts]
        assert executor(units, subject.source, subject.cache, "graphs") == []
        items = subject.cache.root.rglob("*.safetensors")
        files[name] = {path.relative_to(subject.cache.root): path.read_bytes() for path in items}
    assert len(files["alone"]) == 8 * 5  # candidates and graphs of both, what the adapter writes to
    assert files["on workers"] == files["helped"] == files["alone"]


def test_another_process_loads_its_own_models(manifest: Manifest) -> None:
    source = ModelSource(manifest=manifest, runtime=RuntimeParams(seed=0, threads=2))
    source().tokenizer  # noqa: B018
    sent = copy.copy(source)  # by the state that is sent
    assert sent == source
    assert set(vars(sent)) == {"manifest", "runtime"}
    assert sent.processes == 2
