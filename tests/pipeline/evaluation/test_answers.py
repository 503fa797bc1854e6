"""Answers to open questions: what one `generate` an answer gives, to the last id, whatever is beside it."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from pipeline.evaluation.answer_items import NOT_SAMPLED, SAMPLED, Answer, answers_item, sampling_arguments
from pipeline.evaluation.answers import compute_answers, compute_imported, sample_answers
from pipeline.items.units import ItemName, make_unit
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import until_stop
from pipeline.params.runtime import RuntimeParams
from pipeline.text.tokens import encode_text, stop_ids
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.questions import Paraphrase, Question
from store.format.validation import check_item
from store.schema.answers import ANSWERS
from store.views.answers import answer_tokens
from tests.support.questions import make_subject

SAMPLING: dict[str, Any] = {
    "samples": 8,
    "max_new_tokens": 12,
    "temperature": 1.0,
    "top_p": 1.0,
    "batch": 64,
}
TEXTS = (
    "User: I have a fever.\nAssistant:",
    "User: I am bored. What should I do?\nAssistant:",
    "Make a wish.",
)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(make_subject(tmp_path_factory.mktemp("subject"), chat=False).manifest())


def make_question(pool: ModelPool, *texts: str, number: int = 0) -> Question:
    wordings = [
        Paraphrase(text=text, rendered=text, token_ids=encode_text(pool.tokenizer, text)) for text in texts
    ]
    return Question(
        hash=digest([number, texts])[:12],
        id="wish",
        form="plain",
        domain=None,
        judge_prompts={},
        paraphrases=tuple(wordings),
        source="here",
    )


def arguments(question: Question, seed: int = 0, **changes: Any) -> dict[str, Any]:
    return sampling_arguments(question, seed=seed, **(SAMPLING | changes))


def sample(pool: ModelPool, question: Question, variant: str = "base", **changes: Any) -> list[Answer]:
    model = pool.causal_lm(variant)
    return sample_answers(model, pool.tokenizer, **arguments(question, **changes))


class _OwnNumbers(LogitsProcessor):
    """Leaves one token: that which the next number of a generator picks, by numpy in float64."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        share = np.exp(scores[0].double().numpy())
        number = float(torch.rand(1, generator=self.generator))
        token = int(np.searchsorted(share.cumsum() / share.sum(), number, side="right"))
        return torch.full_like(scores, -torch.inf).index_fill(1, torch.tensor([token]), 0.0)


@pytest.mark.parametrize("top_p", [1.0, 0.6])
@pytest.mark.parametrize("batch", [64, 3])
def test_the_same_ids_as_one_generate_an_answer(pool: ModelPool, top_p: float, batch: int) -> None:
    question = make_question(pool, *TEXTS)
    asked = arguments(question, temperature=0.8, top_p=top_p, batch=batch)
    model = pool.causal_lm("general@1.0")
    answers = sample_answers(model, pool.tokenizer, **asked)
    stops = stop_ids(pool.tokenizer, model)
    for number, answer in enumerate(answers):
        wording, turn = number % len(TEXTS), number // len(TEXTS)
        ids, seed = asked["prompts"][wording], asked["seeds"][wording] + turn
        warpers = [TemperatureLogitsWarper(0.8), TopPLogitsWarper(top_p), _OwnNumbers(seed)]
        with torch.inference_mode():
            output = model.generate(
                torch.tensor([ids]),
                attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                max_new_tokens=12,
                do_sample=False,
                logits_processor=LogitsProcessorList(warpers),
                eos_token_id=stops,
                pad_token_id=pool.tokenizer.pad_token_id,
            )
        assert list(answer.token_ids) == until_stop(output[0, len(ids) :].tolist(), stops)


def test_a_cold_answer_is_the_most_probable_and_needs_no_cache(pool: ModelPool) -> None:
    """Trap 10: what the cache gives is what a pass over the whole text gives."""
    question = make_question(pool, *TEXTS[:2])
    answers = sample(pool, question, temperature=1e-4)
    model = pool.causal_lm("base")
    stops = stop_ids(pool.tokenizer, model)
    for answer in answers:
        ids = list(question.paraphrases[answer.paraphrase].token_ids)
        expected: list[int] = []
        while len(expected) < 12:
            with torch.no_grad():
                token = int(model(torch.tensor([ids + expected]), use_cache=False).logits[0, -1].argmax())
            if token in stops:
                break
            expected.append(token)
        assert list(answer.token_ids) == expected


def test_wordings_are_asked_in_turn(pool: ModelPool) -> None:
    for texts in (TEXTS[:1], TEXTS[:2], TEXTS):
        answers = sample(pool, make_question(pool, *texts))
        assert [answer.paraphrase for answer in answers] == [i % len(texts) for i in range(8)]
    few = sample(pool, make_question(pool, *TEXTS), samples=2)
    assert [answer.paraphrase for answer in few] == [0, 1]


def test_variants_share_their_random_numbers_and_questions_do_not(pool: ModelPool) -> None:
    question = make_question(pool, *TEXTS)
    base = sample(pool, question)
    assert sample(pool, question) == base
    state = torch.get_rng_state()
    torch.manual_seed(99)
    assert sample(pool, question) == base
    torch.set_rng_state(state)
    assert sample(pool, make_question(pool, *TEXTS, number=1)) != base
    assert sample(pool, question, seed=1) != base
    # A variant of the same weights: whatever it is called, it draws the same.
    assert sample(pool, question, "general@0.0") == base
    seeds = arguments(question)["seeds"]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**60 for seed in seeds)


def test_one_wordings_answers_do_not_hang_on_anothers(pool: ModelPool) -> None:
    question = make_question(pool, *TEXTS)
    asked = arguments(question)
    model = pool.causal_lm("base")
    together = sample_answers(model, pool.tokenizer, **asked)
    alone = sample_answers(
        model,
        pool.tokenizer,
        **{**asked, "prompts": asked["prompts"][:1], "seeds": asked["seeds"][:1], "samples": 3},
    )
    assert [answer.token_ids for answer in together if answer.paraphrase == 0] == [
        answer.token_ids for answer in alone
    ]


def test_answers_hang_on_no_batch(pool: ModelPool) -> None:
    question = make_question(pool, *TEXTS)
    whole = sample(pool, question)
    assert len({tuple(answer.token_ids) for answer in whole}) == 8
    assert all(sample(pool, question, batch=batch) == whole for batch in (1, 3, 5))
    assert sample(pool, question, samples=5) == whole[:5]


def test_an_answer_is_ended_or_cut(pool: ModelPool, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = pool.tokenizer.eos_token_id
    steps = iter(torch.tensor([[stop, 7, 7, 7], [0, stop, 8, 8], [0, 0, stop, 9]]))
    monkeypatch.setattr(
        "pipeline.evaluation.answers.draw_each", lambda *_, **__: lambda logits, rows: next(steps)[rows]
    )
    answers = sample(pool, make_question(pool, TEXTS[0]), samples=4, max_new_tokens=3)
    assert [(list(answer.token_ids), answer.ended) for answer in answers] == [
        ([], True),
        ([7], True),
        ([7, 8], True),
        ([7, 8, 9], False),
    ]


def test_items_follow_the_schema(pool: ModelPool) -> None:
    question = make_question(pool, *TEXTS)
    manifest, runtime = pool.manifest, RuntimeParams(seed=0, threads=1)
    unit = make_unit(
        SAMPLED,
        prompt_hash=question.hash,
        token_ids=(),
        variants=["narrow@1.0"],
        outputs=[("answers", "narrow@1.0")],
        arguments=arguments(question),
        manifest=manifest,
        runtime=runtime,
    )
    ((kind, item),) = compute_answers(pool, unit)
    assert kind == ANSWERS.kind
    check_item(item, ANSWERS)
    assert (item.prompt_hash, item.variant) == (question.hash, "narrow@1.0")
    assert item.arrays["paraphrase_seed"].tolist() == arguments(question)["seeds"]
    assert answer_tokens(item) == [list(answer.token_ids) for answer in sample(pool, question, "narrow@1.0")]
    read = make_unit(
        SAMPLED,
        prompt_hash=question.hash,
        token_ids=(),
        variants=["base"],
        outputs=[("answers", "base")],
        arguments={"answers": [(1, [5, 6]), (0, [])], "wordings": 3},
        manifest=manifest,
        runtime=runtime,
    )
    ((_, item),) = compute_imported(pool, read)
    check_item(item, ANSWERS)
    assert answer_tokens(item) == [[5, 6], []]
    assert item.arrays["answer_paraphrase"].tolist() == [1, 0]
    assert item.arrays["paraphrase_seed"].tolist() == [NOT_SAMPLED] * 3


def test_no_answers_at_all_are_an_item() -> None:
    item: Item = answers_item(ItemName(key="a" * 64, prompt_hash="0" * 12, variant="base"), [], [5])
    check_item(item, ANSWERS)
    assert answer_tokens(item) == []
    assert item.arrays["answer_start"].dtype == np.int32
