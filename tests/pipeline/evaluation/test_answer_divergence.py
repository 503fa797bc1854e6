"""How far two variants lie apart in answers: against Hugging Face and scipy, an answer at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon

from pipeline.evaluation.answer_divergence import compute_answer_divergence, jensen_shannon
from pipeline.items.code import QualifiedName
from pipeline.items.units import Unit, make_unit
from pipeline.models.pool import ModelPool
from pipeline.params.runtime import RuntimeParams
from store.format.validation import check_item
from store.schema.answer_divergence import ANSWER_DIVERGENCE
from tests.support.questions import make_subject

PROMPTS = [[1, 20, 30], [1, 21, 31, 32, 7]]
ANSWERS = [[5, 6, 7, 8], [], [9], [5, 6, 2, 9, 11, 40]]
ASKED = [0, 1, 1, 0]
PAIR = ("base", "general@1.0")


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    return ModelPool(make_subject(tmp_path_factory.mktemp("subject"), chat=False).manifest())


def unit(pool: ModelPool, **changes: Any) -> Unit:
    arguments = {"prompts": PROMPTS, "asked": ASKED, "answers": ANSWERS, "batch": 3}
    return make_unit(
        QualifiedName("pipeline.evaluation.answer_divergence", "compute_answer_divergence"),
        prompt_hash="0123456789ab",
        token_ids=(),
        variants=PAIR,
        outputs=[(ANSWER_DIVERGENCE.kind, PAIR[1])],
        arguments=arguments | changes,
        manifest=pool.manifest,
        runtime=RuntimeParams(seed=0, threads=1),
    )


def test_of_each_token_it_is_scipys_of_what_hugging_face_says_without_padding(pool: ModelPool) -> None:
    ((kind, item),) = compute_answer_divergence(pool, unit(pool))
    check_item(item, ANSWER_DIVERGENCE)
    assert (kind, item.variant) == (ANSWER_DIVERGENCE.kind, PAIR[1])
    expected = []
    for wording, answer in zip(ASKED, ANSWERS, strict=True):
        for length in range(len(answer)):
            ids = torch.tensor([[*PROMPTS[wording], *answer[:length]]])
            with torch.inference_mode():
                first, second = (
                    pool.causal_lm(variant)(input_ids=ids).logits[0, -1].double().softmax(-1).numpy()
                    for variant in PAIR
                )
            expected.append(jensenshannon(first, second, base=2) ** 2)
    assert max(expected) > 1e-5, "the adapter changes something"
    np.testing.assert_allclose(item.arrays["divergence"], expected, rtol=1e-2, atol=1e-7)


def test_batches_and_order_of_answers_change_nothing(pool: ModelPool) -> None:
    ((_, item),) = compute_answer_divergence(pool, unit(pool))
    ((_, alone),) = compute_answer_divergence(pool, unit(pool, batch=1))
    np.testing.assert_allclose(alone.arrays["divergence"], item.arrays["divergence"], rtol=1e-2, atol=1e-7)
    ((_, last),) = compute_answer_divergence(pool, unit(pool, answers=ANSWERS[3:], asked=ASKED[3:]))
    np.testing.assert_allclose(last.arrays["divergence"], item.arrays["divergence"][5:], rtol=1e-2, atol=1e-7)
    ((_, none),) = compute_answer_divergence(pool, unit(pool, answers=[], asked=[]))
    assert none.arrays["divergence"].shape == (0,)


def test_borders() -> None:
    one, other = (torch.tensor([[1.0, 0.0], [0.5, 0.5]][n:] + [[1.0, 0.0]][:n]).log() for n in (0, 1))
    np.testing.assert_allclose(jensen_shannon(one, one), [0, 0], atol=1e-7)
    apart = jensen_shannon(torch.tensor([[1.0, 0.0]]).log(), torch.tensor([[0.0, 1.0]]).log())
    np.testing.assert_allclose(apart, [1.0], rtol=1e-6)
    assert torch.isfinite(jensen_shannon(one, other)).all()
