"""Features of whole answers against the activations of prompt and answer, one by one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.features.activations import feature_activations
from pipeline.features.answer_features import answer_features
from pipeline.features.answer_reading import reading_arguments
from pipeline.items.code import QualifiedName
from pipeline.items.units import Unit, make_unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from pipeline.params.runtime import RuntimeParams
from store.base.errors import PromptError
from store.collections.item import Item
from store.schema.answer_features import ANSWER_FEATURES, READERS
from tests.support.answer_builders import make_answers, make_question
from tests.support.builders import CONTEXT
from tests.support.replacements import make_replacement

RNG = np.random.default_rng(0)
PROMPTS = [(1, *RNG.integers(3, 300, n).tolist()) for n in (4, 9)]
ANSWERS = [RNG.integers(3, 300, n).tolist() for n in (1, 12, 0, 5, 30, 5, 2)]
QUESTION = make_question("wish", prompts=PROMPTS)
ADAPTED = "general@1.0"
COMPUTE = QualifiedName("pipeline.features.answer_features", "compute_answer_features")
RUNTIME = RuntimeParams(seed=0, threads=1)


def reference(model: ReplacementModel, prompt: Sequence[int], answer: Sequence[int]) -> dict[Any, Any]:
    """(layer, feature) -> mean, max, tokens, from the activations of the ids end to end."""
    found = feature_activations(model, [*prompt, *answer])
    own = found.position >= len(prompt)
    values: dict[Any, list[float]] = {}
    for layer, feature, value in zip(
        found.layer[own].tolist(), found.feature[own].tolist(), found.value[own].tolist(), strict=True
    ):
        values.setdefault((layer, feature), []).append(value)
    n = len(answer)
    return {
        name: (sum(each) / n, max(each) if len(each) == n else max(0.0, *each), len(each))
        for name, each in values.items()
    }


def by_answer(rows: Any, answer: int) -> dict[Any, Any]:
    of = rows["answer"] == answer
    names = zip(rows["layer"][of].tolist(), rows["feature"][of].tolist(), strict=True)
    values = zip(*(rows[name][of].tolist() for name in ("mean", "max", "n_active")), strict=True)
    return dict(zip(names, values, strict=True))


def require_same(found: dict[Any, Any], expected: dict[Any, Any]) -> None:
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(
        [found[name] for name in expected], list(expected.values()), rtol=1e-4, atol=1e-6
    )


@pytest.fixture(scope="module")
def pool(manifest: Any) -> ModelPool:
    return ModelPool(manifest)


def unit_of(pool: ModelPool, answers: Item, variant: str) -> Unit:
    return make_unit(
        COMPUTE,
        prompt_hash=QUESTION.hash,
        token_ids=(),
        variants=list(dict.fromkeys([variant, "base"])),
        outputs=[(ANSWER_FEATURES.kind, variant)],
        arguments=reading_arguments(QUESTION, answers),
        manifest=pool.manifest,
        runtime=RUNTIME,
    )


@pytest.mark.parametrize("variant", ["base", ADAPTED])
def test_an_answer_is_read_by_who_wrote_it_and_by_base(pool: ModelPool, variant: str) -> None:
    unit = unit_of(pool, make_answers(QUESTION, variant, ANSWERS), variant)
    ((kind, item),) = unit.run(pool)
    assert (kind, item.variant, item.prompt_hash) == ("answer_features", variant, QUESTION.hash)
    assert item.scalars == {"n_answers": len(ANSWERS), "n_layers": 3, "d_transcoder": 64}
    assert {name: array.dtype for name, array in item.arrays.items()} == {
        name: np.dtype(spec.dtype) for name, spec in ANSWER_FEATURES.arrays.items()
    }
    readers = {"own": variant} | ({"base": "base"} if variant != "base" else {})
    assert {READERS[code] for code in item.arrays["reader"]} == set(readers)
    for reader, who in readers.items():
        rows = {
            name: array[item.arrays["reader"] == READERS.index(reader)] for name, array in item.arrays.items()
        }
        order = np.lexsort((rows["feature"], rows["layer"], rows["answer"]))
        assert (order == np.arange(len(order))).all()
        model = pool.replacement(who)
        for number, answer in enumerate(ANSWERS):
            expected = reference(model, PROMPTS[number % 2], answer) if answer else {}
            require_same(by_answer(rows, number), expected)


def test_readers_differ(pool: ModelPool) -> None:
    """Else the loop above would not see that both were read by one."""
    ((_, item),) = unit_of(pool, make_answers(QUESTION, ADAPTED, ANSWERS), ADAPTED).run(pool)
    own, base = (item.arrays["mean"][item.arrays["reader"] == code] for code in (0, 1))
    assert len(own) != len(base) or not np.allclose(own, base)


@pytest.mark.parametrize(
    "settings", [{}, {"cross_layer": True}, {"hooks": ("hook_resid_mid", "hook_mlp_out")}]
)
def test_batched_equals_one_by_one_with_any_transcoders(
    pool: ModelPool, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_replacement(pool.tokenizer, "llama", **settings)
    hooks = model.count_hooks()
    prompts = [PROMPTS[number % 2] for number in range(len(ANSWERS))]
    together = answer_features(model, prompts, ANSWERS)
    assert model.count_hooks() == hooks
    monkeypatch.setattr("pipeline.features.streaming._MAX_TOKENS", 1)
    alone = answer_features(model, prompts, ANSWERS)
    for name, column in together.items():
        np.testing.assert_allclose(alone[name], column, rtol=1e-4, atol=1e-6)
    require_same(by_answer(together, 4), reference(model, PROMPTS[0], ANSWERS[4]))


def test_another_answer_or_wording_is_another_key(pool: ModelPool) -> None:
    item = make_answers(QUESTION, ADAPTED, ANSWERS)
    keys = {unit_of(pool, item, ADAPTED).key}
    for name, place in (("answer_token", 3), ("answer_paraphrase", 2), ("answer_start", 2)):
        changed = item.arrays[name].copy()
        changed[place] += 1 - 2 * (changed[place] > 0)
        other = replace(item, arrays={**item.arrays, name: changed})
        keys.add(unit_of(pool, other, ADAPTED).key)
    assert len(keys) == 4


def test_what_cannot_be_read_is_told_in_a_sentence(pool: ModelPool) -> None:
    model = make_replacement(pool.tokenizer, "llama")
    with pytest.raises(PromptError, match=f"Answer 1 is {CONTEXT + 1} tokens long with its prompt.*takes 64"):
        answer_features(model, [PROMPTS[0]] * 2, [[3], [3] * (CONTEXT + 1 - len(PROMPTS[0]))])
    with torch.no_grad():
        model.transcoders[1].b_enc[3] = torch.inf
    with pytest.raises(PromptError, match=r"At layer 1 an activation in answer 0 is NaN or infinite") as told:
        answer_features(model, [PROMPTS[0]], [[3, 4]])
    assert told.value.layer == 1


def test_no_answers_have_no_rows(pool: ModelPool) -> None:
    model = make_replacement(pool.tokenizer, "llama")
    for prompts, answers in (([], []), ([PROMPTS[0]], [[]])):
        assert all(len(column) == 0 for column in answer_features(model, prompts, answers).values())
