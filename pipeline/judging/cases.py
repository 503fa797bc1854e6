"""What is judged: a prompt and its candidate tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.text.lexicon import TokenLabel, named_labels
from store.documents.prompts import Prompt
from store.documents.token_texts import token_text


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A token that may come next, by id, and its text."""

    token: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Case:
    """One prompt to be judged.

    Attributes
    ----------
    prompt_hash, text, situation, domain
        As of the prompt.
    candidates
        Those of all its variants, each once.
    named
        Labels by token id of the targets that the prompt itself names.
    """

    prompt_hash: str
    text: str
    situation: str
    domain: str | None
    candidates: tuple[Candidate, ...]
    named: Mapping[int, TokenLabel] = field(default_factory=dict)


def make_cases(
    prompts: Iterable[Prompt], candidates: Mapping[str, Sequence[int]], texts: Sequence[str]
) -> tuple[Case, ...]:
    """A case for each prompt that has candidates, in the order of the prompts.

    Parameters
    ----------
    prompts
        All of a profile.
    candidates
        Token ids by prompt hash: what `pipeline.analysis.targets.target_set` gives.
    texts
        Text of every token id.
    """
    return tuple(
        Case(
            prompt_hash=prompt.hash,
            text=prompt.text,
            situation=prompt.situation,
            domain=prompt.domain,
            candidates=tuple(
                Candidate(token=token, text=token_text(texts, token)) for token in candidates[prompt.hash]
            ),
            named=named_labels(prompt),
        )
        for prompt in prompts
        if prompt.hash in candidates
    )
