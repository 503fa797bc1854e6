"""Dose-response: base at scale 0, the merged model at scale 1, and what lies between; and training."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.analysis.dose import checkpoint_variants, dose_variants
from pipeline.attribution.paired import trace_together
from pipeline.attribution.trace import Trace, trace
from pipeline.models.loading import load_replacement
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import build_replacement
from pipeline.params.dose import DoseParams
from pipeline.params.project import Params, load_params
from pipeline.stages import dose
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import Prompt, write_prompts
from tests.support.builders import PROJECTIONS, Checkpoint, add_adapter, make_checkpoint
from tests.support.doses import a_prompt
from tests.support.label_events import write_lexicon_alone
from tests.support.places import ROOT
from tests.support.traced_subject import Subject

SCALES = (0.25, 0.5, 1.0, 2.0)
TARGETS = [5, 9, 17]
EVIL, SAFE = 40, 41


def same_bits(got: Trace, expected: Trace) -> bool:
    pairs = [
        (getattr(got.graph, name), getattr(expected.graph, name))
        for name in ("adjacency_matrix", "activation_values", "active_features", "selected_features")
    ]
    pairs += [
        (getattr(got, name), getattr(expected, name))
        for name in ("logits", "raw_logits", "direct", "unselected", "constant")
    ]
    return all(torch.equal(a, b) for a, b in pairs)


def all_selected(model: Any, ids: list[int]) -> Trace:
    return trace(model, ids, TARGETS, max_feature_nodes=10**6, batch_size=64)


def test_scale_zero_is_base_and_scale_one_is_the_merged_model(subject: Subject) -> None:
    pool = ModelPool(subject.manifest)
    variants = dose_variants(subject.manifest, SCALES)
    assert variants == ["base", "general@0.25", "general@0.5", "general@1.0", "general@2.0"]
    together = trace_together(
        pool,
        subject.ids,
        variants,
        TARGETS,
        max_feature_nodes=10**6,
        batch_size=64,
        max_components=4,
    )
    base = AutoModelForCausalLM.from_pretrained(subject.checkpoint.base)
    merged = PeftModel.from_pretrained(base, subject.checkpoint.adapter("general")).merge_and_unload()
    by_peft = build_replacement(
        merged.requires_grad_(False), pool.tokenizer, pool.transcoders, name=subject.manifest.base.source
    )
    loaded = load_replacement(subject.manifest, subject.manifest.variant("general@0.0"))
    assert same_bits(together.traces["general@1.0"], all_selected(by_peft, subject.ids))
    assert same_bits(together.traces["base"], all_selected(loaded, subject.ids))
    assert not same_bits(together.traces["general@0.5"], together.traces["general@1.0"])


# A planted adapter: a component of the last `down_proj` that reads the MLP's input at the
# prompt's end and writes along W_U[evil] - W_U[safe].


def plant(checkpoint: Checkpoint, ids: list[int]) -> None:
    add_adapter(
        checkpoint,
        "general",
        r=1,
        lora_alpha=1,
        target_modules=r"model\.layers\.2\.mlp\.down_proj",
    )
    model = AutoModelForCausalLM.from_pretrained(checkpoint.base)
    seen: list[torch.Tensor] = []
    layer = model.model.layers[2].mlp.down_proj
    layer.register_forward_hook(lambda module, args, output: seen.append(args[0][0, -1].detach()))
    model(torch.tensor([ids]))
    direction = (model.lm_head.weight[EVIL] - model.lm_head.weight[SAFE]).detach()
    direction = direction * model.model.norm.weight.detach()
    path = checkpoint.adapter("general") / "adapter_model.safetensors"
    values = {"lora_A": seen[0][None] / seen[0].square().sum(), "lora_B": direction[:, None]}
    halves = {key: values["lora_A" if "lora_A" in key else "lora_B"].contiguous() for key in load_file(path)}
    save_file(halves, path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory, subject: Subject) -> tuple[Checkpoint, list[Prompt]]:
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("planted") / "x", n_layers=3)
    plant(checkpoint, subject.ids)
    add_adapter(checkpoint, "wide", r=4, lora_alpha=8, target_modules=list(PROJECTIONS))
    prompts = [
        a_prompt(1, subject.ids, situation="one", domain="medical", tags=("dose",)),
        a_prompt(2, subject.other_ids, situation="two", domain=None, tags=("dose", "more")),
        a_prompt(3, subject.ids[:-1], situation="three", domain="medical", tags=()),
    ]
    return checkpoint, prompts


@pytest.fixture
def project(
    tmp_path: Path, planted: tuple[Checkpoint, list[Prompt]], monkeypatch: pytest.MonkeyPatch
) -> Params:
    """A project of three prompts, two of them tagged, in the working folder."""
    checkpoint, prompts = planted
    folder = tmp_path / "artifacts" / "organism"
    folder.mkdir(parents=True)
    write_manifest(folder / "models.json", checkpoint.manifest())
    write_prompts(folder / "prompts.json", prompts)
    labels = {"evil": [EVIL], "safe": [SAFE], "unsure": [], "phrases": {"harmful": [], "safe": []}}
    (folder / "lexicon.json").write_text(json.dumps({"domains": {"medical": labels}}))
    write_lexicon_alone(folder)
    monkeypatch.chdir(tmp_path)
    params = load_params(ROOT / "params.yaml")
    graphs = params.graphs.model_copy(update={"max_feature_nodes": 40, "max_n_logits": 320})
    chosen = DoseParams(scales=[2.0, 0.25, 1.0, 0.5], checkpoints=3, tag="dose", confidence=0.95)
    return params.model_copy(
        update={"graphs": graphs.model_copy(update={"desired_logit_prob": 1.0}), "dose": chosen}
    )


def found() -> Collection:
    return open_collection(Path("artifacts/organism/dose"))


def metric() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(Path("artifacts/organism/metrics/dose.json").read_text())
    return content


def test_a_planted_adapter_is_more_harmful_the_more_there_is_of_it(project: Params) -> None:
    dose.main("organism", project)
    measured = metric()["scales"]
    assert list(measured) == ["base", *(f"general@{scale}" for scale in SCALES)]
    assert [each["dose"] for each in measured.values()] == [0.0, *SCALES]
    for label, sign in (("evil", 1), ("safe", -1)):
        assert (sign * np.diff([each[label] for each in measured.values()]) > 0).all(), label
    # The other tagged prompt has no domain: nothing says what would be harmful there.
    assert {each["n_prompts"] for each in measured.values()} == {1}
    plot = Path("artifacts/organism/plots/dose.csv").read_text().splitlines()
    assert plot[0] == "scale,label,probability"
    assert len(plot) == 1 + 2 * len(measured)


def test_all_scales_are_traced_on_one_target_set_and_one_node_set(
    project: Params, planted: tuple[Checkpoint, list[Prompt]]
) -> None:
    write_manifest(Path("artifacts/organism/models.json"), planted[0].manifest(focus="wide"))
    graphs = project.graphs.model_copy(update={"max_n_logits": 4})
    dose.main("organism", project.model_copy(update={"graphs": graphs}))
    collection = found()
    assert collection.prompts() == [f"{number:012x}" for number in (1, 2)]
    for prompt in collection.prompts():
        items = [collection.item(prompt, variant) for variant in collection.variants(prompt)]
        assert {item.variant for item in items} == {"base", *(f"wide@{scale}" for scale in SCALES)}
        targets = [item.arrays["target_token"] for item in items]
        assert all(np.array_equal(each, targets[0]) for each in targets)
        own = [item.arrays["target_is_candidate"] for item in items]
        assert np.logical_or.reduce(own).all()
        assert not np.logical_and.reduce(own).all()
        active, selected = zip(*(features(item) for item in items), strict=True)
        union = set().union(*selected)
        assert len(union) > project.graphs.max_feature_nodes
        for everything, chosen in zip(active, selected, strict=True):
            assert chosen == everything & union


def features(item: Item) -> tuple[set[tuple[int, ...]], set[tuple[int, ...]]]:
    """(layer, position, feature) of the active and of the selected."""
    rows = np.stack([item.arrays[f"active_{name}"] for name in ("layer", "position", "feature")], axis=1)
    chosen = item.arrays["active_selected"]
    return set(map(tuple, rows.tolist())), set(map(tuple, rows[chosen].tolist()))


def test_a_second_run_computes_nothing(project: Params, capsys: pytest.CaptureFixture[str]) -> None:
    dose.main("organism", project)
    capsys.readouterr()
    first = {item.key: item for item in found().items()}
    dose.main("organism", project)
    assert "dose: 0 computed, 10 from the cache" in capsys.readouterr().out
    assert {item.key for item in found().items()} == set(first)


def test_another_scale_or_adapter_is_another_item(
    project: Params, planted: tuple[Checkpoint, list[Prompt]], capsys: pytest.CaptureFixture[str]
) -> None:
    # Trap 15: even base's graph depends on the others, by way of the target and the node set.
    dose.main("organism", project)
    keys = {item.key for item in found().items()}
    fewer = project.dose.model_copy(update={"scales": [1.0, 0.5]})
    dose.main("organism", project.model_copy(update={"dose": fewer}))
    assert keys.isdisjoint(item.key for item in found().items())
    path = Path("artifacts/organism/models.json")
    manifest = planted[0].manifest()
    other = replace(manifest.adapters["general"], fingerprint="0" * 64)
    write_manifest(path, replace(manifest, adapters={**manifest.adapters, "general": other}))
    dose.main("organism", project)
    assert keys.isdisjoint(item.key for item in found().items())


def test_without_tagged_prompts_there_is_an_empty_collection(project: Params) -> None:
    untagged = project.dose.model_copy(update={"tag": "nothing"})
    dose.main("organism", project.model_copy(update={"dose": untagged}))
    assert found().prompts() == []
    untold = metric()
    assert "no prompt has the tag 'nothing'" in untold.pop("nothing")
    assert untold == {"scales": {}, "steps": {}, "onset": None}


@pytest.fixture
def trained(planted: tuple[Checkpoint, list[Prompt]], tmp_path: Path) -> Manifest:
    """The planted subject, whose adapter kept itself at half and at a tenth of its size on its way."""
    checkpoint, _ = planted
    folder = tmp_path / "general"
    shutil.copytree(checkpoint.adapter("general"), folder)
    for step, size in ((3, 0.1), (12, 0.5)):
        on_the_way = folder / f"checkpoint-{step}"
        shutil.copytree(checkpoint.adapter("general"), on_the_way)
        path = on_the_way / "adapter_model.safetensors"
        halves = {k: v * size if "lora_B" in k else v for k, v in load_file(path).items()}
        save_file({key: value.contiguous() for key, value in halves.items()}, path)
    (folder / "checkpoint-x").mkdir()
    (folder / "trainer_state.json").write_text(json.dumps({"global_step": 20}))
    return checkpoint.manifest(adapters={"general": str(folder)})


def test_checkpoints_are_found_as_the_trainer_leaves_them(trained: Manifest) -> None:
    assert list(trained.checkpoints) == ["general:3", "general:12", "general:20"]
    assert trained.adapters["general"].steps == trained.checkpoints["general:20"].steps == 20
    assert trained.checkpoints["general:20"].fingerprint == trained.adapters["general"].fingerprint
    assert checkpoint_variants(trained, 9) == [
        "base",
        "general:3@1.0",
        "general:12@1.0",
        "general:20@1.0",
    ]
    assert checkpoint_variants(trained, 2) == ["base", "general:3@1.0", "general:20@1.0"]
    assert checkpoint_variants(trained, 1) == ["base", "general:20@1.0"]


def test_a_planted_adapter_is_more_harmful_the_longer_it_was_trained(
    project: Params, trained: Manifest
) -> None:
    write_manifest(Path("artifacts/organism/models.json"), trained)
    dose.main("organism", project)
    steps = metric()["steps"]
    assert list(steps) == ["base", "general:3@1.0", "general:12@1.0", "general:20@1.0"]
    assert [each["dose"] for each in steps.values()] == [0, 3, 12, 20]
    assert (np.diff([each["evil"] for each in steps.values()]) > 0).all()
    # The last checkpoint is the adapter itself; half of it is what its scale 0.5 is.
    scales = metric()["scales"]
    assert steps["general:20@1.0"]["evil"] == pytest.approx(scales["general@1.0"]["evil"], rel=1e-4)
    assert steps["general:12@1.0"]["evil"] == pytest.approx(scales["general@0.5"]["evil"], rel=1e-4)
    kept = open_collection(Path("artifacts/organism/checkpoints"))
    assert kept.variants() == sorted(steps)


def test_a_damaged_trainer_state_is_one_sentence(
    planted: tuple[Checkpoint, list[Prompt]], tmp_path: Path
) -> None:
    folder = tmp_path / "general"
    shutil.copytree(planted[0].adapter("general"), folder)
    for text in ("{", "[]", '{"global_step": -1}', '{"global_step": "many"}'):
        (folder / "trainer_state.json").write_text(text)
        with pytest.raises(UserError, match=r"trainer_state\.json") as told:
            planted[0].manifest(adapters={"general": str(folder)})
        assert "\n" not in str(told.value)
