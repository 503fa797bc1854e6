"""How much a profile has to do: what it has published, or what is assumed where it has not yet."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.params.profiles import Profile
from pipeline.params.project import Params
from store.documents.prompts import read_prompts

_PROMPTS: Final = 100
_TOKENS: Final = 64
_ACTIVE: Final = 60
"""Assumed of a profile that has not run: as many features of a layer are active on a token in public sets."""
_DOSED: Final = 5
"""Prompts that are traced at every dose, assumed likewise."""
_QUESTIONS: Final = 8
"""In a file of them, as the field asks."""
_FACT_TOKENS: Final = 24
"""Of a behaviour's prompt and answer; of words that are not tokenized yet."""
_CHARACTERS: Final = 4
"""A token has about so many, in English."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much there is to do.

    Attributes
    ----------
    prompts, longest, tokens
        Prompts, tokens of the longest one, and of all.
    active
        Active features of a layer on a token.
    targets
        Logits of a graph, at most.
    questions
        Open questions.
    answer_tokens
        Of the longest answer.
    dose_prompts
        Prompts that are traced at every dose.
    text_tokens
        Of held-out texts, in which contexts are looked for.
    facts, fact_tokens
        Prompts whose right and wrong answers are read under steering, and tokens of the longest.
    nulls
        Random adapters beside the focus.
    """

    prompts: int
    longest: int
    tokens: int
    active: float
    targets: int
    questions: int
    answer_tokens: int
    dose_prompts: int
    text_tokens: int
    facts: int
    fact_tokens: int
    nulls: int


def work_of(
    folder: Path, profile: Profile, params: Params, *, prompts: int | None, tokens: int | None
) -> tuple[Work, str]:
    """What there is to do.

    Parameters
    ----------
    folder
        Of the profile's artifacts.
    profile, params
        What is asked of it.
    prompts, tokens
        How many, and of how many tokens each, instead of what is published or assumed.

    Returns
    -------
    work, assumed
        And what of it is assumed, for a sentence; empty if nothing.
    """
    lengths, found = _lengths(folder / "prompts.json", prompts, tokens)
    active = _active(folder / "metrics" / "health.json")
    dosed = _DOSED
    if found:
        dosed = sum(params.dose.tag in prompt.tags for prompt in read_prompts(folder / "prompts.json"))
    capitals = params.steered.facts if folder.name in params.organisms else 0
    known = found and active is not None
    work = Work(
        prompts=len(lengths),
        longest=max(lengths),
        tokens=sum(lengths),
        active=_ACTIVE if active is None else active,
        targets=2 * params.graphs.max_n_logits,
        questions=_QUESTIONS * len(profile.questions),
        answer_tokens=profile.max_answer_tokens or params.answers.max_new_tokens,
        dose_prompts=dosed,
        text_tokens=_text_tokens(profile),
        facts=params.behaviours.test * len(profile.behaviours) + capitals,
        fact_tokens=_FACT_TOKENS,
        nulls=len(profile.nulls),
    )
    said = f" for {work.prompts} prompts of at most {work.longest} tokens, {work.active:.0f} active features"
    return work, f"{said} a layer and token{'' if known else ' (assumed)'}"


def _lengths(path: Path, prompts: int | None, tokens: int | None) -> tuple[list[int], bool]:
    if path.is_file() and prompts is None and tokens is None:
        return [len(prompt.token_ids) for prompt in read_prompts(path)] or [_TOKENS], True
    return [tokens or _TOKENS] * (prompts or _PROMPTS), False


def _text_tokens(profile: Profile) -> int:
    if profile.texts is None or not Path(profile.texts).is_file():
        return 0
    return Path(profile.texts).stat().st_size // _CHARACTERS


def _active(path: Path) -> float | None:
    """Mean over layers of base, as stage `models` has measured it."""
    if not path.is_file():
        return None
    layers = json.loads(path.read_text(encoding="utf-8"))["variants"]["base"]["layers"]
    return float(sum(layer["active_per_token"] for layer in layers) / len(layers))
