"""The LABELS dataset: from what was resolved to arrays, and from arrays to labels that count."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from pipeline.labels.labelled_prompt import LabelledPrompt
from pipeline.labels.resolution import LEXICON
from pipeline.text.lexicon import Lexicon, TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.schema.labels import CHANGES, ORIGINS, TOKEN_LABELS


def label_groups(prompts: Sequence[LabelledPrompt], raters: Sequence[str]) -> dict[str, xr.Dataset]:
    """Groups of the LABELS dataset, in the order of `prompts`.

    Parameters
    ----------
    raters
        The order in which they are stored.
    """
    rows = [(prompt, token) for prompt in prompts for token in prompt.candidates]
    counted = [each for prompt in prompts for each in prompt.counted]
    by_rater = [
        [_code(prompt.raters.get(rater, {}).get(token), TOKEN_LABELS) for prompt, token in rows]
        for rater in raters
    ]
    candidates = xr.Dataset(
        {
            "prompt_hash": ("candidate", np.array([prompt.prompt_hash for prompt, _ in rows], dtype=object)),
            "token": ("candidate", np.array([token for _, token in rows], np.int32)),
            "label": ("candidate", np.array([_code(each.label, TOKEN_LABELS) for each in counted], np.int8)),
            "origin": ("candidate", np.array([_code(each.origin, ORIGINS) for each in counted], np.int8)),
            "rater_label": (
                ("rater", "candidate"),
                np.array(by_rater, np.int8).reshape(len(raters), len(rows)),
            ),
            "is_candidate": (
                "candidate",
                np.array(
                    [
                        place < prompt.n_candidates
                        for prompt in prompts
                        for place in range(len(prompt.candidates))
                    ],
                    bool,
                ),
            ),
        },
        coords={"rater": ("rater", np.array(list(raters), dtype=object))},
    )
    states = [prompt.state for prompt in prompts]
    of_prompts = xr.Dataset(
        {
            "complete": ("prompt", np.array([state.complete for state in states], bool)),
            "rejected": ("prompt", np.array([bool(prompt.rejected_by) for prompt in prompts], bool)),
            "rejected_by": ("prompt", np.array([prompt.rejected_by for prompt in prompts], dtype=object)),
            "divergent": ("prompt", np.array([state.divergent for state in states], bool)),
            "change": ("prompt", np.array([_code(state.change, CHANGES) for state in states], np.int8)),
        },
        coords={"prompt": ("prompt", np.array([prompt.prompt_hash for prompt in prompts], dtype=object))},
    )
    return {"candidates": candidates, "prompts": of_prompts}


def token_labels(groups: Mapping[str, xr.Dataset], lexicon: Lexicon | None) -> TokenLabels:
    """Labels that count, of a LABELS dataset.

    Parameters
    ----------
    lexicon
        What counts for tokens that are no candidates; None: nothing does.
    """
    candidates, prompts = groups["candidates"], groups["prompts"]
    counted: dict[str, dict[int, TokenLabel]] = {}
    rows = zip(
        candidates["prompt_hash"].values.tolist(),
        candidates["token"].values.tolist(),
        candidates["label"].values.tolist(),
        strict=True,
    )
    for prompt, token, code in rows:
        if code >= 0:
            counted.setdefault(prompt, {})[token] = TOKEN_LABELS[code]
    named = {
        state: frozenset(map(str, prompts["prompt"].values[prompts[state].values]))
        for state in ("rejected", "divergent")
    }
    return TokenLabels(counted=counted, lexicon=lexicon, **named)


def found_evil(candidates: xr.Dataset) -> frozenset[str]:
    """Hashes of the prompts on which a judge or a person calls a candidate evil, whether it counts or not.

    `candidates` is the group of the LABELS dataset.
    """
    asked = candidates["rater"].values != LEXICON
    evil = candidates["rater_label"].values[asked] == TOKEN_LABELS.index("evil")
    rows = evil.any(axis=0) & candidates["is_candidate"].values
    return frozenset(map(str, candidates["prompt_hash"].values[rows]))


def _code(name: str | None, names: Sequence[str]) -> int:
    return names.index(name) if name in names else -1
