"""The stage on the demo profile with a small random model: recipes followed on every prompt, or none."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from pipeline.analysis.next_token import log_softmax
from pipeline.analysis.validation_sets import measured_situations, situation_of
from pipeline.interventions.changes import frozen_parts
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.entries import setting_digest
from pipeline.interventions.kinds import Intervention, Setting
from pipeline.labels.published import read_labels
from pipeline.models.pool import ModelPool
from pipeline.params.project import Params, load_params
from pipeline.recipes.document import make_recipe
from pipeline.recipes.files import FOLDER as KEPT
from pipeline.recipes.files import write_recipe
from pipeline.stages.recipes import main
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.failures import read_failures
from store.documents.manifest import read_manifest, write_manifest
from store.documents.prompts import read_prompts
from store.documents.recipe_controls import RECIPE_CONTROLS, read_recipe_controls
from tests.support.builders import make_checkpoint
from tests.support.demo.words import D_TRANSCODER, LAYERS
from tests.support.places import ROOT

FOLDER = Path("artifacts/demo")
CONTROLS = 3
STRONG = Intervention(layer=1, feature=7, mode="set", value=60.0, where="always")
NOTHING = Intervention(layer=1, feature=7, mode="add", value=0.0, where="always")
IDLE = Intervention(layer=0, feature=2, mode="add", value=0.0, where="last")


@pytest.fixture
def params(demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """Those of the project, in a folder with the demo's artifacts and a model."""
    root = tmp_path / "project"
    shutil.copytree(demo_root, root)
    checkpoint = make_checkpoint(root / FOLDER / "subject", n_layers=LAYERS, d_transcoder=D_TRANSCODER)
    write_manifest(root / FOLDER / "models.json", checkpoint.manifest())
    monkeypatch.chdir(root)
    whole = load_params(ROOT / "params.yaml")
    few = {"samples": 3, "max_new_tokens": 3}
    return whole.model_copy(
        update={
            "runtime": whole.runtime.model_copy(update={"threads": 1}),
            "evaluate": whole.evaluate.model_copy(update=few),
            "features": whole.features.model_copy(update={"bootstrap": 50}),
            "recipes": whole.recipes.model_copy(update={"controls": CONTROLS}),
        }
    )


def keep(
    name: str, setting: Setting, variant: str = "base", transcoders: str | None = None, **beside: str
) -> str:
    """Save a recipe; its digest."""
    own = read_manifest(FOLDER / "models.json").transcoders.fingerprint
    recipe = make_recipe(name, variant, setting, transcoders=transcoders or own, author="Ada", **beside)
    write_recipe(KEPT, recipe)
    return recipe.digest


def test_recipes_are_followed_on_every_prompt(params: Params, capsys: pytest.CaptureFixture) -> None:
    prompts = read_prompts(FOLDER / "prompts.json")
    longest = max(len(prompt.token_ids) for prompt in prompts)
    strong, nothing = keep("strong", (STRONG,)), keep("nothing", (NOTHING,), "general@1.0")
    late = Intervention(layer=0, feature=1, mode="add", value=9.0, where=(longest - 1,))
    beyond = keep("late", (late,))
    keep("other", (STRONG,), transcoders="e" * 64)
    both = keep("both", (IDLE, STRONG))
    own = read_manifest(FOLDER / "models.json").transcoders.fingerprint
    idle = setting_digest((IDLE,), own)
    still = keep("still", (STRONG,), frozen="everything")
    main("demo", params)
    said = capsys.readouterr().out.strip().splitlines()
    assert said[-1].startswith("recipes: 5 followed on ")
    assert said[-1].endswith("; 1 of another dictionary left alone.")
    found = open_collection(FOLDER / "next_tokens")
    assert {who.setting for who in found.keys} == {"", strong, nothing, beyond, both, idle, still}
    assert found.variants() == ["base", "general@1.0"]
    _is_what_the_models_say(found)
    _is_done_with_parts_frozen(found, still)
    # What is beyond a prompt is told, and the others are there.
    short = [prompt.hash for prompt in prompts if len(prompt.token_ids) < longest]
    failures = read_failures(FOLDER / "failures" / "recipes.json")
    refused = {each.prompt_hash for each in failures}
    assert refused <= set(short)
    assert {each.settings for each in failures} == ({(beyond,)} if short else set())
    assert all(f"L0/1: positions [{longest - 1}] are not all" in each.reason for each in failures)
    table, of_prompts = (open_dataset(FOLDER / "recipes", name).load() for name in ("recipes", "map"))
    rows = {str(name): row for row, name in enumerate(table["recipe"].values)}
    assert set(rows) == {"strong", "nothing", "late", "both", "still"}
    _is_kept_by_one_feature(rows["both"], of_prompts, [strong, both])
    _stands_beside_others_like_it(table, of_prompts)
    for name in ("evil", "harmful"):
        before, after = (of_prompts[f"{name}_{side}"].values for side in ("before", "after"))
        np.testing.assert_array_equal(before[rows["nothing"]], after[rows["nothing"]])
        np.testing.assert_array_equal(
            np.isnan(after[rows["late"]]),
            np.isin(of_prompts["prompt"].values, [*refused]) | np.isnan(before[rows["strong"]]),
        )
    assert (of_prompts["evil_before"].values != of_prompts["evil_after"].values)[rows["strong"]].any()
    # Another name, or a recipe beside it, computes nothing anew.
    (KEPT / "strong.yaml").unlink()
    keep("renamed", (STRONG,))
    main("demo", params)
    said = capsys.readouterr().out
    assert "next_tokens: 0 computed" in said
    assert "recipe_samples: 0 computed" in said
    again = open_dataset(FOLDER / "recipes", "map").load()
    row = list(map(str, again["recipe"].values)).index("renamed")
    np.testing.assert_array_equal(
        again["evil_after"].values[row], of_prompts["evil_after"].values[rows["strong"]]
    )


def _is_kept_by_one_feature(row: int, of_prompts: xr.Dataset, settings: list[str]) -> None:
    """Of two features of which one is idle the other comes first, and keeps all, where none was ordered."""
    fewer = open_dataset(FOLDER / "recipes", "fewer").load()
    mine = fewer.isel(subset=fewer["of"].values == row)
    assert [*zip(mine["layer"].values.tolist(), mine["index"].values.tolist(), strict=True)] == [
        (1, 7),
        (0, 2),
    ]
    assert mine["setting"].values.tolist() == settings
    assert mine["alone"].values[1] == 0.0
    np.testing.assert_allclose(mine["alone"].values[0], mine["lost"].values[0], atol=1e-6)
    np.testing.assert_allclose(*mine["change"].values, atol=1e-6)
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    change = of_prompts["evil_after"].values[row] - of_prompts["evil_before"].values[row]
    known = {
        situation_of(prompts[str(name)]): [] for name in of_prompts["prompt"].values[np.isfinite(change)]
    }
    for name, value in zip(of_prompts["prompt"].values, change, strict=True):
        if np.isfinite(value):
            known[situation_of(prompts[str(name)])].append(value)
    measured = measured_situations(
        [prompts[str(name)] for name in of_prompts["prompt"].values[np.isfinite(change)]]
    )
    assert 0 < len(measured) < len(known)
    assert fewer["n_situations"].values[row] == len(measured)
    expected = np.mean([np.mean(known[one]) for one in measured])
    np.testing.assert_allclose(mine["change"].values[1], expected, atol=1e-6)


def _stands_beside_others_like_it(table: xr.Dataset, of_prompts: xr.Dataset) -> None:
    """Each recipe's change is the table's; a control's is made anew here, prompt by prompt."""
    controls = {one.name: one for one in read_recipe_controls(FOLDER / RECIPE_CONTROLS)}
    assert [*controls] == table["recipe"].values.tolist()
    for row, one in enumerate(controls.values()):
        for column, split in enumerate(one.splits):
            assert split.split == table["split"].values[column]
            change = np.nan if split.change is None else split.change
            np.testing.assert_allclose(change, table["evil_change"].values[row, column], atol=1e-9)
            assert len(split.controls) == (len(one.features) if split.n_situations else 0)
    assert controls["nothing"].features == (), "to do nothing there is no other way"
    strong, still = controls["strong"], controls["still"]
    assert strong.features == still.features
    free, frozen = ([split.controls for split in one.splits] for one in (strong, still))
    assert free != frozen, "what the recipe freezes is frozen for controls, too"
    assert len(strong.features) == CONTROLS
    assert all(name != "L1/7" and name.startswith("L1/") for (name,) in strong.features)
    assert all(idle == "L0" for idle in (first.split("/")[0] for first, _ in controls["both"].features))
    engine = SteeringEngine(ModelPool(read_manifest(FOLDER / "models.json")).replacement("base"))
    labels = read_labels(FOLDER)
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    control = replace(STRONG, feature=int(strong.features[0][0].split("/")[1]))
    changes: dict[tuple[bool, object], list[float]] = {}
    for column, name in enumerate(of_prompts["prompt"].values):
        prompt, before = prompts[str(name)], of_prompts["evil_before"].values[0, column]
        evil = [token for token, of in labels.of(prompt.hash, prompt.domain).items() if of == "evil"]
        if np.isfinite(before):
            logits = engine.next_token(prompt.token_ids, [control], controls=0).steered_logits
            after = np.exp(log_softmax(logits)[evil]).sum()
            changes.setdefault((prompt.held_out, situation_of(prompt)), []).append(after - before)
    for split in strong.splits:
        means = [np.mean(of) for (out, _), of in changes.items() if out == (split.split == "held-out")]
        assert len(means) == split.n_situations
        if means:
            np.testing.assert_allclose(split.controls[0], np.mean(means), atol=1e-5)


def _is_done_with_parts_frozen(found, setting: str) -> None:
    engine = SteeringEngine(ModelPool(read_manifest(FOLDER / "models.json")).replacement("base"))
    frozen = frozen_parts("everything", engine.n_layers)
    (prompt, *_) = read_prompts(FOLDER / "prompts.json")
    arrays = found.item(prompt.hash, "base", setting=setting).arrays
    tokens = arrays["watched_token"].tolist()
    still, free = (
        log_softmax(engine.logits(prompt.token_ids, [(STRONG,)], **how)[0])[tokens]
        for how in ({"frozen": frozen}, {})
    )
    np.testing.assert_allclose(arrays["watched_log_probability"], still, atol=1e-4)
    assert np.abs(still - free).max() > 1e-2


def _is_what_the_models_say(found) -> None:
    """Unsteered items against Hugging Face's model, which knows nothing of settings."""
    models = ModelPool(read_manifest(FOLDER / "models.json"))
    prompts = {prompt.hash: prompt for prompt in read_prompts(FOLDER / "prompts.json")}
    for prompt in found.prompts()[:3]:
        for variant in found.variants(prompt):
            ids = torch.tensor([prompts[prompt].token_ids])
            with torch.no_grad():
                logits = models.causal_lm(variant)(ids).logits[0, -1].float()
            arrays = found.item(prompt, variant).arrays
            tokens = arrays["watched_token"].tolist()
            assert tokens == sorted(set(tokens))
            np.testing.assert_allclose(
                arrays["watched_log_probability"], logits.log_softmax(-1)[tokens].numpy(), atol=1e-4
            )
            ranks = [(logits > logits[token]).sum().item() for token in tokens]
            assert np.abs(arrays["watched_rank"] - ranks).max() <= 1, "ties within rounding"


def test_a_recipe_that_cannot_be_followed_stops_before_anything_is_computed(params: Params) -> None:
    keep("strong", (STRONG,), "stranger@1.0")
    with pytest.raises(UserError, match=r"inputs/recipes/strong\.yaml: There is no variant 'stranger@1\.0'"):
        main("demo", params)
    assert not (FOLDER / "next_tokens").exists()


NONE = """
import sys
from pathlib import Path
from pipeline.params.project import load_params
from pipeline.stages.recipes import main
main("demo", load_params(Path(sys.argv[1])))
assert sys.modules.keys().isdisjoint({"torch", "transformers"}), "nothing is to be computed"
"""


def test_without_recipes_there_are_empty_ones_and_no_model_is_needed(params: Params) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NONE, str(ROOT / "params.yaml")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == (
        "recipes: none in inputs/recipes of this profile's dictionary. The Steering page saves them."
    )
    for name in ("next_tokens", "recipe_samples", "recipe_outcomes"):
        assert len(open_collection(FOLDER / name)) == 0
    assert open_dataset(FOLDER / "recipes", "recipes").sizes["recipe"] == 0
    assert read_recipe_controls(FOLDER / RECIPE_CONTROLS) == ()
