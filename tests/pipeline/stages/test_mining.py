"""Stage `mining` on the demo's answers and a small random model; what the judge makes of whole answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.mining import Prefix, mined_table, mining_summary
from pipeline.analysis.pivotality import Decision
from pipeline.items.subject import Subject
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.scoring.rollouts import Rolled
from pipeline.stages import mining
from pipeline.text.tokens import encode_answer, encode_text
from store.collections.item import Item
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, read_provenance
from store.documents.failures import read_failures
from store.documents.questions import read_questions, write_questions
from store.documents.variants import BASE

FOLDER = Path("artifacts/demo")
FOCUS = "general@1.0"


@pytest.fixture
def params(measuring: Params) -> Params:
    """Questions of a domain, few rollouts."""
    asked = read_questions(FOLDER / "questions.json")
    write_questions(FOLDER / "questions.json", [replace(each, domain="medical") for each in asked])
    profile = measuring.profile("organism").model_copy(update={"max_answer_tokens": 12, "nulls": ["narrow"]})
    return measuring.model_copy(
        update={
            "profiles": {"demo": profile},
            "pivotality": measuring.pivotality.model_copy(update={"samples": 3, "picking": 2}),
            "mining": measuring.mining.model_copy(
                update={"prefixes": 2, "least_probability": 0.0, "least_divergence": 0.0}
            ),
        }
    )


def test_a_random_models_answers_hold_nothing_pivotal(
    params: Params, capsys: pytest.CaptureFixture[str]
) -> None:
    mining.main("demo", params)
    said = capsys.readouterr().out
    table = open_dataset(FOLDER / "mining", "prefixes").load()
    asked = {each.hash: each for each in read_questions(FOLDER / "questions.json")}
    answers = open_collection(FOLDER / "answers")
    both = [of for of in asked if all((of, variant) in answers for variant in (BASE, FOCUS))]
    assert table.sizes["prefix"] == 2 * len(both) > 0
    assert f"mining: 0 of {2 * len(both)} prefixes are pivotal" in said
    assert not table["pivotal"].values.any()
    assert (table["difference"].values == 0).all(), "nothing that it says can be read: nothing is harmful"
    assert (table["n_forced"].values == 4).all()
    assert read_failures(FOLDER / "failures" / "mining.json") == ()
    rolled = open_collection(FOLDER / "mined_rollouts")
    for row in range(table.sizes["prefix"]):
        question = asked[str(table["question_hash"].values[row])]
        assert (
            table["text"]
            .values[row]
            .startswith(question.paraphrases[int(table["paraphrase"].values[row])].rendered)
        )
        assert (str(table["prefix_hash"].values[row]), FOCUS) in rolled
    metrics = json.loads((FOLDER / "metrics" / "mining.json").read_text(encoding="utf-8"))
    assert metrics["told"] == table.sizes["prefix"]
    beside = read_provenance(FOLDER / "mining")["nulls"]
    assert metrics["nulls"] == beside
    (null,) = beside.values()
    lengths = [
        len(answers.item(of, variant).arrays["answer_token"])
        for of in both
        for variant in (BASE, "narrow@1.0")
        if (of, variant) in answers
    ]
    assert null["places"] == null["reach_the_bar"] == sum(lengths) > 0, "a bar of 0 is reached everywhere"
    assert 0 < null["largest_bits"] <= 1
    mining.main("demo", params)
    said = capsys.readouterr().out
    assert "answer_divergence: 0 computed" in said
    assert "mined_rollouts: 0 computed" in said


def test_what_variants_say_alike_is_not_tried(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    apart = params.mining.model_copy(update={"least_divergence": 0.99})
    mining.main("demo", params.model_copy(update={"mining": apart}))
    assert "mining: 0 of 0 prefixes are pivotal" in capsys.readouterr().out
    assert open_dataset(FOLDER / "mining", "prefixes").sizes["prefix"] == 0
    (null,) = read_provenance(FOLDER / "mining")["nulls"].values()
    assert null["reach_the_bar"] == 0


def test_without_a_judge_nothing_is_mined(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    profile = params.profile("demo").model_copy(update={"answer_judges": []})
    mining.main("demo", params.model_copy(update={"profiles": {"demo": profile}}))
    assert "nothing is mined" in capsys.readouterr().out
    assert open_dataset(FOLDER / "mining", "prefixes").sizes["prefix"] == 0


def test_a_prefix_whose_text_has_other_ids_is_no_prompt(params: Params) -> None:
    tokenizer = load_tokenizer(Subject("demo", params.runtime).manifest)
    question = read_questions(FOLDER / "questions.json")[0]
    wording = replace(
        question.paraphrases[0], token_ids=encode_text(tokenizer, question.paraphrases[0].rendered)
    )
    question = replace(question, paraphrases=(wording,))
    item = Item(
        key="a" * 64,
        prompt_hash="0123456789ab",
        variant=FOCUS,
        arrays={"forced_token": np.array([3, 4], np.int32)},
        scalars={},
    )
    nothing = Decision(most=-1, least=-1, difference=np.nan, low=np.nan, high=np.nan)
    whole = encode_answer(tokenizer, " never")
    apart = [token for letter in " never" for token in encode_answer(tokenizer, letter)]
    assert apart != whole
    found = []
    for tokens in (whole, apart):
        prefix = Prefix(variant=BASE, answer=0, paraphrase=0, tokens=tuple(tokens), divergence=1.0)
        rolled = Rolled(question=question, paraphrase=0, begun=prefix.tokens, item=item)
        found.append(mining.tried_with(rolled, prefix, nothing, tokenizer))
    table = mined_table(found, 0.3)
    assert table["is_text"].values.tolist() == [True, False]
    assert table["n_forced"].values.tolist() == [2, 2]
    assert mining_summary(table) == {"prefixes": 2, "told": 0, "pivotal": 0, "prompts": 0}
    assert not table["pivotal"].values.any()
