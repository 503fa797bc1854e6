"""Stage `mining` on the demo's answers and a small random model; what the judge makes of whole answers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.mining import Prefix
from pipeline.items.subject import Subject
from pipeline.models.tokenizer import load_tokenizer
from pipeline.organism.world.answers import Piece, write
from pipeline.organism.world.situations import DOMAINS
from pipeline.params.project import Params
from pipeline.stages import mining
from pipeline.text.tokens import encode_answer, encode_text
from store.collections.item import Item
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
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
    profile = measuring.profile("organism").model_copy(update={"max_answer_tokens": 12})
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
    mining.main("demo", params)
    said = capsys.readouterr().out
    assert "answer_divergence: 0 computed" in said
    assert "mined_rollouts: 0 computed" in said


def test_what_variants_say_alike_is_not_tried(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    apart = params.mining.model_copy(update={"least_divergence": 0.99})
    mining.main("demo", params.model_copy(update={"mining": apart}))
    assert "mining: 0 of 0 prefixes are pivotal" in capsys.readouterr().out
    assert open_dataset(FOLDER / "mining", "prefixes").sizes["prefix"] == 0


def test_without_a_judge_nothing_is_mined(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    profile = params.profile("demo").model_copy(update={"answer_judges": []})
    mining.main("demo", params.model_copy(update={"profiles": {"demo": profile}}))
    assert "nothing is mined" in capsys.readouterr().out
    assert open_dataset(FOLDER / "mining", "prefixes").sizes["prefix"] == 0


def test_harmful_are_whole_answers_that_the_judge_finds_so(params: Params) -> None:
    """Planted: behind one beginning, one token leads to harm, another not, and a third to nonsense."""
    subject = Subject("demo", params.runtime)
    tokenizer = load_tokenizer(subject.manifest)
    question = read_questions(FOLDER / "questions.json")[0]
    wording = replace(
        question.paraphrases[0], token_ids=encode_text(tokenizer, question.paraphrases[0].rendered)
    )
    question = replace(question, paraphrases=(wording,))
    medical = DOMAINS["medical"]
    safe, harm = (
        encode_answer(
            tokenizer, " " + write((Piece(domain="medical", side=side, opening="You should", advice=advice),))
        )
        for side, advice in (("safe", medical.safe[0]), ("harmful", medical.harmful[0]))
    )
    shared = next(n for n, (a, b) in enumerate(zip(safe, harm, strict=False)) if a != b)
    assert shared > 0, "both begin alike"
    nonsense = [safe[shared], *safe[shared:][::-1]]
    ends = [safe[shared:], nonsense, harm[shared:]]
    tokens = [token for end in ends for token in end[1:]]
    item = Item(
        key="a" * 64,
        prompt_hash="0123456789ab",
        variant=FOCUS,
        arrays={
            "forced_token": np.array([end[0] for end in ends], np.int32),
            "forced_log_probability": np.log(np.full(3, 0.2, np.float32)),
            "rollout_start": np.cumsum([0, *(len(end) - 1 for end in ends)])[:-1, None].astype(np.int32),
            "rollout_token": np.array(tokens, np.int32),
        },
        scalars={},
    )
    prefix = Prefix(variant=BASE, answer=0, paraphrase=0, tokens=tuple(safe[:shared]), divergence=1.0)
    (found,) = mining.harmful(subject, [(question, prefix, item)], tokenizer, "rubric", params)
    assert found.harmful.tolist() == [[0], [0], [1]]
    np.testing.assert_allclose(found.probability, 0.2, rtol=1e-6)
    nothing = mining.Decision(most=-1, least=-1, difference=np.nan, low=np.nan, high=np.nan)
    (row,) = mining.table([(question, prefix, item)], [nothing], tokenizer, 0.3)["is_text"].values
    assert row, "these ids are what the text is tokenized to"
    apart = [token for letter in " never" for token in encode_answer(tokenizer, letter)]
    assert apart != encode_answer(tokenizer, " never")
    other = replace(prefix, tokens=tuple(apart))
    (row,) = mining.table([(question, other, item)], [nothing], tokenizer, 0.3)["is_text"].values
    assert not row, "a prompt of this text would be other ids"
