"""The stage on the demo profile with a small random model: from graphs, labels and rankings to the tables."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.validation_sets import Situation, situation_of
from pipeline.params.project import Params
from pipeline.run.stage import CACHE
from pipeline.stages import faithfulness as stage
from pipeline.stages.faithfulness import main
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.documents.prompts import read_prompts
from store.schema.features import FEATURES
from store.schema.rankings import situations_group
from store.schema.vocabulary import FAITHFUL_ORDERS
from tests.support.project import computed

FOLDER = Path("artifacts/demo")


@pytest.fixture
def params(measuring: Params) -> Params:
    """Few features, and few resamples."""
    few = {"ks": [1, 4], "top": 2, "matched": 2, "random_orders": 19, "min_situations": 2, "bootstrap": 50}
    chosen = measuring.faithfulness.model_copy(update=few | {"labellings": 50})
    ranked = measuring.features.model_copy(update={"excluded_layers": [0]})
    demo = measuring.profiles["organism"].model_copy(update={"nulls": ["narrow"]})
    parts = {"profiles": {"demo": demo}, "faithfulness": chosen, "features": ranked}
    return measuring.model_copy(update=parts)


def lure(held_out: set[Situation]) -> tuple[int, int]:
    """Let the weakest feature by `direct` be the strongest on situations where effects are measured."""
    folder = FOLDER / FEATURES.kind
    groups = {name: open_dataset(folder, name).load() for name in FEATURES.groups}
    table = groups[situations_group("direct")]
    situations = zip(table["situation_domain"].values, table["situation"].values, strict=True)
    inside = np.array([each in held_out for each in situations])
    effect = table["effect"].sel(contrast="evil-safe|general@1.0").values
    everywhere = (np.nan_to_num(effect[~inside]) != 0).sum(axis=0) >= 2
    row = int(np.argmin(np.where(everywhere & (table["layer"].values > 0), effect[~inside].sum(0), np.inf)))
    effect[inside, row] = 1000.0
    write_dataset(folder, FEATURES, groups, provenance=read_provenance(folder))
    return int(table["layer"].values[row]), int(table["index"].values[row])


def test_the_stage_measures_where_nothing_was_ordered(params: Params, capsys: pytest.CaptureFixture) -> None:
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    lured = lure({situation_of(prompt) for prompt in prompts.values() if prompt.held_out})
    main("demo", params)
    difference = open_dataset(FOLDER / "faithfulness", "difference")
    out = sum(prompt.held_out for prompt in prompts.values())
    assert 0 < int(difference["n_prompts"].values[0]) <= max(out, len(prompts) // 2)
    halves = [
        {situation_of(prompts[prompt]) for prompt in open_collection(FOLDER / kind).prompts()}
        for kind in ("moved_features", "held_logits")
    ]
    assert not halves[0] & halves[1], "gradients that order features are of other situations"
    curves = open_dataset(FOLDER / "faithfulness", "curves")
    assert set(map(str, curves["order"].values)) <= set(FAITHFUL_ORDERS)
    assert {"direct", "eap_ig"} <= set(map(str, curves["order"].values))
    features = open_dataset(FOLDER / "faithfulness", "features")
    assert features.sizes["feature"] > 0
    assert 0 not in features["layer"].values, "layer 0 is left out of every order"
    ranks = features["rank"].values
    by_direct = ranks[list(features["order"].values).index("direct")]
    chosen = zip(
        features["layer"].values[by_direct > 0], features["index"].values[by_direct > 0], strict=True
    )
    assert lured not in list(chosen), "orders are those of the situations where nothing is measured"
    assert (ranks.min(axis=1) >= 0).all()
    assert ((ranks == 1).sum(axis=1) == 1).all()
    assert np.isfinite(features["effect"].values).all()
    nodes, nulls = (open_dataset(FOLDER / "faithfulness", name) for name in ("nodes", "nulls"))
    first = nodes["rank"].values[0].ravel()
    assert sorted(first[first > 0]) == [1, 2, 3, 4], "as many as the largest k"
    assert list(nulls["null"].values) == ["narrow@1.0"]
    assert np.isfinite(nulls["change"].values).all()
    metrics = json.loads((FOLDER / "metrics" / "faithfulness.json").read_text(encoding="utf-8"))
    assert metrics["situations"] == int(difference["n_situations"].values[0])
    # What the last outs hold is not computed again, and the tables are the same.
    before = {name: each.values.copy() for name, each in features.items()}
    first = computed(capsys.readouterr().out)
    assert first["moved_features"][0] > 0 < first["held_logits"][0] == int(difference["n_prompts"].values[0])
    shutil.rmtree(CACHE)
    main("demo", params)
    again = computed(capsys.readouterr().out)
    assert again == {kind: (0, count) for kind, (count, _) in first.items()}
    assert not any((CACHE / kind).exists() for kind in first), "read where it lies"
    again = open_dataset(FOLDER / "faithfulness", "features")
    for name, values in before.items():
        np.testing.assert_array_equal(again[name].values, values)


def test_tables_are_taken_over_where_nothing_that_decides_them_is_new(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change() -> float:
        return float(open_dataset(FOLDER / "faithfulness", "difference")["change"].values[0])

    main("demo", params)
    before, made = change(), stage.faithfulness_groups
    asked: list[int] = []

    def counted(*args: object) -> object:
        asked.append(1)
        return made(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "faithfulness_groups", counted)
    main("demo", params)
    assert not asked
    more = params.faithfulness.model_copy(update={"bootstrap": 60})
    other = params.model_copy(update={"faithfulness": more})
    main("demo", other)
    assert asked == [1]
    # Evil and safe change sides where it is measured: the same is held, and means the opposite.
    held = stage.held_of

    def turned(subject: object, targets: stage.Targets, *rest: object) -> object:
        for _, weights in targets.values():
            weights *= -1
        return held(subject, targets, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(stage, "held_of", turned)
    main("demo", other)
    assert change() == pytest.approx(-before)
