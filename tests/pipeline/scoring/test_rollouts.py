"""What judges make of rollouts: whole answers, by the grammar and by a service that is asked."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from pipeline.analysis.pivotality import Forced
from pipeline.models.tokenizer import load_tokenizer
from pipeline.organism.world.answers import Piece, write
from pipeline.organism.world.situations import DOMAINS
from pipeline.params.project import load_params
from pipeline.scoring.registry import first_judge
from pipeline.scoring.rollouts import Rolled, judged, prompt_as_question, whole_answers
from pipeline.scoring.rubric import Rubric
from pipeline.text.tokens import encode_answer, encode_text
from store.collections.item import Item
from store.documents.questions import Question
from tests.support.builders import Checkpoint
from tests.support.feature_builders import make_prompt
from tests.support.judge_server import JudgeServer, top_of
from tests.support.judging import openai_params
from tests.support.places import ROOT
from tests.support.scoring import PROMPTS, asked_scorer, make_question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BAR = load_params(ROOT / "params.yaml").misalignment


@pytest.fixture(scope="module")
def tokenizer(checkpoint: Checkpoint) -> "PreTrainedTokenizerBase":
    return load_tokenizer(checkpoint.manifest())


def forked(ends: list[list[list[int]]], variant: str = "general@1.0") -> Item:
    """Rollouts, by forced token; those of one begin with it."""
    rolled = [rollout[1:] for of in ends for rollout in of]
    starts = np.cumsum([0, *map(len, rolled)])[:-1].reshape(len(ends), -1)
    return Item(
        key="a" * 64,
        prompt_hash="0123456789ab",
        variant=variant,
        arrays={
            "forced_token": np.array([of[0][0] for of in ends], np.int32),
            "forced_log_probability": np.log(np.full(len(ends), 0.2, np.float32)),
            "rollout_start": starts.astype(np.int32),
            "rollout_token": np.array([token for of in rolled for token in of], np.int32),
        },
        scalars={},
    )


def with_ids(question: Question, tokenizer: "PreTrainedTokenizerBase") -> Question:
    wording = question.paraphrases[0]
    ids = encode_text(tokenizer, wording.rendered)
    return replace(question, paraphrases=(replace(wording, token_ids=ids),))


def test_harmful_are_whole_answers_that_the_grammar_finds_so(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Planted: behind one beginning, one token leads to harm, another not, and a third to nonsense."""
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
    ends = [[list(end)] for end in (safe[shared:], nonsense, harm[shared:])]
    question = with_ids(make_question(0), tokenizer)
    rolled = Rolled(question=question, paraphrase=0, begun=tuple(safe[:shared]), item=forked(ends))
    two = judged([rolled, rolled], Rubric("rubric"), tokenizer, BAR)
    assert [found.harmful.tolist() for found in two] == [[[0], [0], [1]]] * 2
    np.testing.assert_allclose(two[0].probability, 0.2, rtol=1e-6)


def numbers(text: str) -> float:
    """The mean of the numbers that the service gives for what it is asked."""
    held = [(int(token), p) for token, p in top_of(text) if token.strip().isdigit()]
    number, p = np.array(held).T
    return float(np.average(number, weights=p))


def by_service(rolled: Rolled, url: str, path: Path, tokenizer: "PreTrainedTokenizerBase") -> Forced:
    (found,) = judged([rolled], asked_scorer(url, path), tokenizer, BAR)
    return found


def test_continuations_of_a_prompt_are_told_by_a_service(
    tokenizer: "PreTrainedTokenizerBase", server: JudgeServer, tmp_path: Path
) -> None:
    """Each is scored as an answer to the prompt's text, once, and what was answered is not asked again."""
    words = [" rest", " in", " bed", " You", " should"]
    ids = [encode_answer(tokenizer, word) for word in words]
    ends = [[[*first, *second] for second in ids] for first in ids]
    prompt = replace(make_prompt(3), token_ids=tuple(encode_text(tokenizer, "You should")))
    rolled = Rolled(question=prompt_as_question(prompt, PROMPTS), paraphrase=0, begun=(), item=forked(ends))
    said = whole_answers([rolled], tokenizer)
    assert {answer.asked for answer in said} == {prompt.text}
    assert {answer.variant for answer in said} == {"general@1.0"}
    scores = [
        [numbers(PROMPTS[scale].format(question=answer.asked, answer=answer.text)) for answer in said]
        for scale in ("aligned", "coherent")
    ]
    expected = (np.array(scores[0]) < BAR.misaligned_below) & (np.array(scores[1]) > BAR.coherent_above)
    assert 0 < expected.sum() < len(expected)
    found = by_service(rolled, server.url, tmp_path / "gpt.jsonl", tokenizer)
    assert found.harmful.ravel().tolist() == expected.astype(float).tolist()
    asked = sum(server.asked().values())
    by_service(rolled, server.url, tmp_path / "gpt.jsonl", tokenizer)
    assert sum(server.asked().values()) == asked


def test_an_outage_is_not_harmless(
    tokenizer: "PreTrainedTokenizerBase", server: JudgeServer, tmp_path: Path
) -> None:
    """Without a score of alignment only what is incoherent is told; trap 26."""
    server.fault = lambda text, before: "500" if text.startswith("Is it aligned") else ""
    ids = [encode_answer(tokenizer, word) for word in (" rest", " in", " bed", " You", " should")]
    item = forked([[[*first, *second] for second in ids] for first in ids])
    question = with_ids(make_question(0), tokenizer)
    rolled = Rolled(question=question, paraphrase=0, begun=(), item=item)
    coherent = np.array(
        [
            numbers(PROMPTS["coherent"].format(question=answer.asked, answer=answer.text))
            for answer in whole_answers([rolled], tokenizer)
        ]
    )
    found = by_service(rolled, server.url, tmp_path / "gpt.jsonl", tokenizer).harmful.ravel()
    assert np.isnan(found[coherent > BAR.coherent_above]).all()
    assert (found[coherent <= BAR.coherent_above] == 0).all()
    assert 0 < np.isnan(found).sum() < len(found)


def test_the_first_judge_that_may_be_asked() -> None:
    judges = {
        "grammar": load_params(ROOT / "params.yaml").judges["rubric"],
        "paid": openai_params(None),
    }
    names = ["grammar", "paid"]
    assert first_judge(names, judges, paid=False) == "grammar"
    assert first_judge(names, judges, paid=False, grammar=False) is None
    assert first_judge(names, judges, paid=True, grammar=False) == "paid"
    assert first_judge(names[::-1], judges, paid=True) == "paid"
