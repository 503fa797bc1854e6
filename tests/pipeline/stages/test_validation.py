"""Stage `validation`: each prompt's labelled tokens meet their own weights."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.scores import LABELLED
from pipeline.analysis.validation_sets import Choice, orders
from pipeline.labels.labelled_targets import labelled_targets
from pipeline.labels.published import read_labels
from pipeline.params.project import Params
from pipeline.run.stage import CACHE
from pipeline.stages import validation as stage
from pipeline.stages.validation import effects_of, main
from store.datasets.groups import open_dataset
from store.documents.manifest import read_manifest, write_manifest
from store.schema.validation import MEASURED_EFFECTS, VALIDATION
from store.schema.vocabulary import ABLATE, RESTORE
from tests.support import demo
from tests.support.feature_builders import PARAMS
from tests.support.project import computed

FOCUS = "general@1.0"
CONTROLS = 2
# Prompts have different labelled tokens, so that weights of one fit the other in number alone.
WEIGHTS = {"first": np.array([0.5, 0.5, -1.0]), "second": np.array([-0.25, 1.0, -0.75])}


def measured(choice: Choice) -> dict[str, dict[str, dict[str, np.ndarray]]]:
    """Random effects (set, token) and controls (compared, control, token), no two alike."""
    rng = np.random.default_rng(0)
    shapes = {"": (len(choice.sets), 3), "_controls": (len(choice.compared), CONTROLS, 3)}
    return {
        prompt: {
            variant: {
                f"{intervention}{part}": rng.normal(size=shape)
                for intervention in (ABLATE, RESTORE)
                for part, shape in shapes.items()
            }
            for variant in ("base", FOCUS)
        }
        for prompt in WEIGHTS
    }


@pytest.mark.parametrize("prompts", [("first", "second"), ("second", "first")])
def test_effects_are_evil_minus_safe_of_each_prompt(prompts: tuple[str, str]) -> None:
    choice = Choice(sample=np.array([4, 7]), top={("direct", "within"): np.array([7, 2])})
    items = measured(choice)
    weights = {prompt: WEIGHTS[prompt] for prompt in prompts}  # in another order than what was measured
    found = effects_of(items, weights, {"base": choice, FOCUS: choice}, orders(FOCUS), CONTROLS)
    assert set(found) == {(ABLATE, "base"), (ABLATE, FOCUS), (RESTORE, FOCUS)}
    for (intervention, variant), effects in found.items():
        for row, (prompt, of) in enumerate(items.items()):
            for at, each in enumerate(of[variant][intervention]):
                expected = sum(w * float(x) for w, x in zip(WEIGHTS[prompt], each, strict=True))
                assert effects.effect[row, at] == pytest.approx(expected)
            for at, controls in enumerate(of[variant][f"{intervention}_controls"]):
                np.testing.assert_allclose(effects.controls[row, at], controls @ WEIGHTS[prompt])


def test_prompts_of_acting_are_measured_on_by_nobody(demo_root: Path) -> None:
    folder = demo_root / "artifacts" / "demo"
    prompts = {prompt.hash: prompt for prompt in demo.make_prompts()}
    labels, tagged = read_labels(folder), PARAMS.model_copy(update={"confound_tag": "neutral"})
    every = labelled_targets(folder, prompts, labels, tagged)
    assert len(every) > 1
    one = next(iter(every))
    prompts[one] = replace(prompts[one], tags=("neutral",))
    assert set(every) - set(labelled_targets(folder, prompts, labels, tagged)) == {one}
    assert labelled_targets(folder, prompts, labels, PARAMS).keys() == every.keys()


def test_effects_are_measured_on_the_prompts_that_are_ranked(demo_root: Path) -> None:
    folder = demo_root / "artifacts" / "demo"
    prompts, labels = {prompt.hash: prompt for prompt in demo.make_prompts()}, read_labels(folder)
    every = labelled_targets(folder, prompts, labels, PARAMS)
    one = next(iter(every))
    prompts[one] = replace(prompts[one], tags=("chosen",))
    chosen = PARAMS.model_copy(update={"tag": "chosen"})
    assert set(labelled_targets(folder, prompts, labels, chosen)) == {one}
    divergent = PARAMS.model_copy(update={"divergent_only": True})
    assert set(labelled_targets(folder, prompts, labels, divergent)) == set(every) & set(labels.divergent)


def test_without_adapters_base_is_measured_and_nothing_restored(measuring: Params) -> None:
    path = Path("artifacts/demo/models.json")
    write_manifest(path, replace(read_manifest(path), adapters={}, focus="base"))
    few = {"features": 5, "top": 1, "bootstrap": 50}
    features = measuring.features.model_copy(update={"min_situations": 2})
    chosen = measuring.validation.model_copy(update=few)
    main("demo", measuring.model_copy(update={"validation": chosen, "features": features}))
    table = open_dataset(Path("artifacts/demo") / VALIDATION.kind, "orders")
    assert set(table["intervention"].values) == {ABLATE}
    assert set(table["variant"].values) == {"base"}
    assert sorted(table["score"].values) == sorted(LABELLED)
    assert np.isfinite(table["spearman"].values).all()


def test_what_was_measured_comes_back_from_the_last_outs(
    measuring: Params, capsys: pytest.CaptureFixture
) -> None:
    few = {"features": 5, "top": 1, "bootstrap": 50}
    features = measuring.features.model_copy(update={"min_situations": 2})
    params = measuring.model_copy(
        update={"validation": measuring.validation.model_copy(update=few), "features": features}
    )
    main("demo", params)
    first = computed(capsys.readouterr().out)
    assert first[MEASURED_EFFECTS.kind][0] > 0
    folder = Path("artifacts/demo") / VALIDATION.kind
    before = {group: open_dataset(folder, group).load() for group in VALIDATION.groups}
    assert np.isfinite(before["orders"]["spearman"].values).any()
    shutil.rmtree(CACHE)
    main("demo", params)
    again = computed(capsys.readouterr().out)
    assert again == {kind: (0, count) for kind, (count, _) in first.items()}
    for group, table in before.items():
        assert table.identical(open_dataset(folder, group).load())


def test_tables_are_taken_over_where_nothing_that_decides_them_is_new(
    measuring: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = {"features": 5, "top": 1, "bootstrap": 50}
    features = measuring.features.model_copy(update={"min_situations": 2})
    chosen = measuring.validation.model_copy(update=few)
    params = measuring.model_copy(update={"validation": chosen, "features": features})
    folder = Path("artifacts/demo") / VALIDATION.kind

    def joint_effects() -> np.ndarray:
        return np.array(open_dataset(folder, "orders")["joint_effect"].values)

    main("demo", params)
    before, made = joint_effects(), stage.validation_groups
    asked: list[int] = []

    def counted(*args: object) -> object:
        asked.append(1)
        return made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "validation_groups", counted)
    main("demo", params)
    assert not asked
    other = params.model_copy(update={"validation": chosen.model_copy(update={"bootstrap": 60})})
    main("demo", other)
    assert asked == [1]
    # Evil and safe change sides: the same is measured on the same tokens, and means the opposite.
    turned = stage.labelled_targets
    monkeypatch.setattr(
        stage,
        "labelled_targets",
        lambda *args: {prompt: (tokens, -of) for prompt, (tokens, of) in turned(*args).items()},
    )
    main("demo", other)
    np.testing.assert_allclose(joint_effects(), -before)
