"""Examples for judges, made anew from what people labelled: by a command, since that asks everything anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.judging.examples import Example, LabelledToken
from pipeline.labels.heads import agreed
from pipeline.labels.resolution import HUMAN, LEXICON
from store.documents.prompts import Prompt
from store.documents.token_texts import token_text
from store.schema.labels import TOKEN_LABELS

NO_REASON: Final = "People labelled it so."


@dataclass(frozen=True)
class _Labelled:
    """A prompt that people labelled whole, and on how many candidates a judge said otherwise."""

    example: Example
    disagreements: int
    prompt_hash: str


def renewed(
    candidates: xr.Dataset,
    prompts: Mapping[str, Prompt],
    comments: Mapping[tuple[str, int], str],
    texts: Sequence[str],
    n: int,
) -> list[Example]:
    """Examples, those on which judges disagree with people first; at most one a situation.

    Parameters
    ----------
    candidates
        The group of the LABELS dataset.
    prompts
        By hash.
    comments
        Why people labelled a token so, by prompt hash and token id.
    texts
        The text of every token id.
    n
        How many at most.
    """
    raters = candidates["rater"].values.astype(str)
    people = np.char.startswith(raters, HUMAN)
    judges = ~people & (raters != LEXICON)
    said = candidates["rater_label"].values
    hashes = candidates["prompt_hash"].values.astype(str)
    found = []
    for prompt_hash in sorted(set(hashes.tolist()) & prompts.keys()):
        rows = np.flatnonzero((hashes == prompt_hash) & candidates["is_candidate"].values)
        human = [agreed(TOKEN_LABELS[code] for code in said[people, row] if code >= 0) for row in rows]
        if "unlabelled" in human:
            continue
        codes = np.array([TOKEN_LABELS.index(label) for label in human])
        judged = said[judges][:, rows]
        prompt = prompts[prompt_hash]
        tokens = [
            LabelledToken(
                text=token_text(texts, token),
                label=label,
                reason=comments.get((prompt_hash, token)) or NO_REASON,
            )
            for token, label in zip(candidates["token"].values[rows].tolist(), human, strict=True)
            if label != "unlabelled"
        ]
        example = Example(situation=prompt.situation, prompt=prompt.text, candidates=tuple(tokens))
        found.append(_Labelled(example, int(((judged >= 0) & (judged != codes)).sum()), prompt_hash))
    first: dict[str, Example] = {}
    for each in sorted(found, key=lambda each: (-each.disagreements, each.prompt_hash)):
        first.setdefault(each.example.situation, each.example)
    return list(first.values())[:n]
