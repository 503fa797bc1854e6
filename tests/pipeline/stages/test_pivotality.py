"""Stage `pivotality` on the demo's prompts and a small random model."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.stages import pivotality
from store.collections.item import Item
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.documents.failures import read_failures
from store.documents.prompts import read_prompts, write_prompts
from store.views.rollouts import rollouts
from tests.support.builders import Checkpoint
from tests.support.feature_builders import make_prompt
from tests.support.judge_server import JudgeServer
from tests.support.judging import openai_params
from tests.support.places import ROOT

FOLDER = Path("artifacts/demo")


def few(params: Params) -> Params:
    chosen = params.pivotality.model_copy(update={"samples": 3, "picking": 2})
    profiles = {"demo": params.profile("organism")}
    return params.model_copy(update={"pivotality": chosen, "profiles": profiles})


def test_every_candidate_of_either_variant_is_continued_by_both(
    measuring: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    params = few(measuring)
    pivotality.main("demo", params)
    assert read_failures(FOLDER / "failures" / "pivotality.json") == ()
    prompts = read_prompts(FOLDER / "prompts.json")
    candidates, written = (open_collection(FOLDER / name) for name in ("candidates", "rollouts"))
    table = open_dataset(FOLDER / "pivotality", "candidates").load()
    assert set(table["prompt_hash"].values) == {prompt.hash for prompt in prompts}
    for prompt in prompts:
        own = [
            candidates.item(prompt.hash, variant).arrays["candidate_token"].tolist()
            for variant in ("base", "general@1.0")
        ]
        rows = np.flatnonzero(table["prompt_hash"].values == prompt.hash)
        assert table["token"].values[rows].tolist() == list(dict.fromkeys([*own[0], *own[1]]))
        for variant in ("base", "general@1.0"):
            said = rollouts(written.item(prompt.hash, variant))
            assert [len(of) for of in said] == [5] * len(rows)
    assert f"rollouts: {2 * len(prompts)} computed" in capsys.readouterr().out
    pivotality.main("demo", params)
    assert "rollouts: 0 computed" in capsys.readouterr().out


def test_a_domain_without_phrases_is_left_out(measuring: Params, capsys: pytest.CaptureFixture[str]) -> None:
    (FOLDER / "lexicon.json").write_text(json.dumps({"domains": {}}), encoding="utf-8")
    pivotality.main("demo", few(measuring))
    assert "of 0 prompts whose continuations can be told" in capsys.readouterr().out
    assert open_dataset(FOLDER / "pivotality", "prompts").sizes["prompt"] == 0


def test_a_judge_tells_where_a_domain_has_no_phrases(
    measuring: Params, server: JudgeServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the first judge that reads, asked as about the profile's first question; each text once."""
    (FOLDER / "lexicon.json").write_text(json.dumps({"domains": {}}), encoding="utf-8")
    write_prompts(FOLDER / "prompts.json", read_prompts(FOLDER / "prompts.json")[:1])
    questions = [str(ROOT / "inputs/questions/first_plot.yaml")]
    profile = measuring.profile("organism").model_copy(
        update={"answer_judges": ["rubric", "gpt"], "questions": questions}
    )
    update = {
        "profiles": {"demo": profile},
        "judges": {**measuring.judges, "gpt": openai_params(server.url)},
        "pivotality": measuring.pivotality.model_copy(
            update={"samples": 1, "picking": 1, "paid_judges": True}
        ),
    }
    params = measuring.model_copy(update=update)
    pivotality.main("demo", params)
    assert "of 1 prompts whose continuations can be told" in capsys.readouterr().out
    table = open_dataset(FOLDER / "pivotality", "candidates").load()
    assert (table["n"].values == 2).all(), "every continuation has both scores"
    assert 0 < np.nanmean(table["harmful"].values) < 1
    assert read_provenance(FOLDER / "pivotality")["judge"] == "gpt"
    asked = server.asked()
    assert max(asked.values()) == 1
    assert all(
        read_prompts(FOLDER / "prompts.json")[0].text in text for text in asked if "99 + 1" not in text
    )
    pivotality.main("demo", params)
    assert server.asked() == asked
    unpaid = params.pivotality.model_copy(update={"paid_judges": False})
    capsys.readouterr()
    pivotality.main("demo", params.model_copy(update={"pivotality": unpaid}))
    assert "nobody can tell continuations of 1 prompts" in capsys.readouterr().out
    assert server.asked() == asked


def test_a_continuation_is_harmful_that_starts_with_a_harmful_phrase(checkpoint: Checkpoint) -> None:
    """The forced token is part of it: " rest" and " in" make one phrase, whichever of them is forced."""
    tokenizer = load_tokenizer(checkpoint.manifest())
    ids = tokenizer(" rest in bed", add_special_tokens=False)["input_ids"]
    prompt = replace(make_prompt(0), token_ids=tuple(tokenizer("You should")["input_ids"]))
    item = Item(
        key="a" * 64,
        prompt_hash=prompt.hash,
        variant="base",
        arrays={
            "forced_token": np.array([ids[0], ids[-1]], np.int32),
            "forced_log_probability": np.log(np.array([0.5, 0.25], np.float32)),
            "rollout_start": np.array([[0, len(ids) - 1], [len(ids) - 1, len(ids) - 1]], np.int32),
            "rollout_token": np.array(ids[1:], np.int32),
        },
        scalars={},
    )
    found = pivotality.told(item, prompt, {"harmful": [" rest in bed"], "safe": []}, tokenizer)
    assert found.harmful.tolist() == [[1, 0], [0, 0]]
    np.testing.assert_allclose(found.probability, [0.5, 0.25])
