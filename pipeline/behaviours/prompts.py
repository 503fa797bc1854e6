"""From a behaviour's words to its prompts: chosen, tokenized once, with partners. No torch."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from pipeline.behaviours.choosing import Chosen, choose
from pipeline.behaviours.material_files import read_material
from pipeline.behaviours.protocol import Behaviour, Tools
from pipeline.text.tokens import encode_rendered_with_places
from store.base.errors import UserError
from store.base.hashing import prompt_hash
from store.documents.behaviour_prompts import BehaviourPrompt, Span

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def make_prompts(
    behaviour: Behaviour,
    path: Path,
    tokenizer: "PreTrainedTokenizerBase",
    *,
    counts: Mapping[str, int],
    test_groups: int,
    seed: int,
    longest: int,
) -> list[BehaviourPrompt]:
    """A behaviour's prompts, train before test.

    Parameters
    ----------
    behaviour, path
        Which one, and the file of its words.
    tokenizer
        Of the model.
    counts, test_groups
        As for `pipeline.behaviours.choosing.choose`.
    seed
        Of what is drawn; each behaviour has random numbers of its own.
    longest
        Tokens of a prompt with an answer, at most.

    Raises
    ------
    UserError
        The file is wrong, has too few groups, or an answer is the other's beginning or grows together with
        its prompt as tokens; the message names the file.
    """
    material = read_material(path, behaviour)
    rng = Random(f"{seed}/behaviours/{behaviour.name}")

    @cache
    def length(answer: str) -> int:
        return len(tokenizer(answer, add_special_tokens=False)["input_ids"])

    drafts = behaviour.drafts(material, Tools(rng=rng, length=length))
    chosen = choose(drafts, counts, rng, test_groups=test_groups, place=str(path), group=behaviour.group)
    read = [_tokenized(behaviour.name, each, tokenizer, str(path), longest) for each in chosen]
    return with_partners(read, [each.draft.bundle for each in chosen])


def with_partners(prompts: Sequence[BehaviourPrompt], bundles: Sequence[str | None]) -> list[BehaviourPrompt]:
    """The prompts, each with the other one that it is patched from and to, of its own split.

    Prompts of one bundle are partners. Of the others each is paired with the next one that has none yet,
    the same template (the text around what decides), as many tokens up to and within what decides, and
    another right answer; then with one of the same template and another answer. One that is left has none.
    """
    partner: dict[int, int] = {}

    def pair(like: Sequence[object]) -> None:
        waiting: dict[object, list[int]] = {}
        for number, key in enumerate(like):
            if number in partner or key is None:
                continue
            others = waiting.setdefault(key, [])
            fits = (i for i in others if prompts[i].correct_answer != prompts[number].correct_answer)
            found = next(fits, None)
            if found is None:
                others.append(number)
            else:
                others.remove(found)
                partner[found], partner[number] = number, found

    around = [(each.split, each.prompt[: each.span[0]], each.prompt[each.span[1] :]) for each in prompts]
    pair([bundle and (each.split, bundle) for each, bundle in zip(prompts, bundles, strict=True)])
    alone = [bundle is None for bundle in bundles]
    same = [(*of, each.token_span, len(each.token_ids)) for of, each in zip(around, prompts, strict=True)]
    for like in (same, around):
        pair([key if single else None for key, single in zip(like, alone, strict=True)])
    return [
        replace(each, partner=prompts[partner[number]].hash if number in partner else None)
        for number, each in enumerate(prompts)
    ]


def _tokenized(
    behaviour: str, chosen: Chosen, tokenizer: "PreTrainedTokenizerBase", place: str, longest: int
) -> BehaviourPrompt:
    draft = chosen.draft
    told = f"{place}: the prompt '{draft.prompt}'"
    ids, places = encode_rendered_with_places(tokenizer, draft.prompt)
    answers = []
    for answer in (draft.correct, draft.incorrect):
        whole, _ = encode_rendered_with_places(tokenizer, draft.prompt + answer)
        if whole[: len(ids)] != ids or len(whole) == len(ids):
            raise UserError(
                f"{told} and its answer '{answer}' share a token, so that the answer cannot be told apart; "
                "change the template."
            )
        if len(whole) > longest:
            raise UserError(
                f"{told} has {len(whole)} tokens with its answer, and the model reads {longest}; shorten it."
            )
        answers.append(whole[len(ids) :])
    right, wrong = answers
    shared = next((i for i, (a, b) in enumerate(zip(right, wrong, strict=False)) if a != b), None)
    if shared is None:
        raise UserError(
            f"{told} has answers '{draft.correct}' and '{draft.incorrect}', of which one is the other's "
            "beginning; no token decides between them, so change one."
        )
    return BehaviourPrompt(
        hash=prompt_hash(draft.prompt),
        behaviour=behaviour,
        split=chosen.split,
        prompt=draft.prompt,
        correct_answer=draft.correct,
        incorrect_answer=draft.incorrect,
        group=draft.group,
        partner=None,
        span=draft.span,
        token_span=_positions(places, draft.span),
        token_ids=ids,
        correct_ids=tuple(right),
        incorrect_ids=tuple(wrong),
        shared=shared,
        metadata={"template": draft.template, **draft.metadata},
    )


def _positions(places: Sequence[Span], span: Span) -> Span:
    """Positions of the tokens that hold a character of the span."""
    held = [i for i, (start, stop) in enumerate(places) if start < span[1] and stop > span[0]]
    return held[0], held[-1] + 1
