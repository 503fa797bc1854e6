"""Dose-response: how likely harmful advice is, the more of an adapter there is."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from pipeline.analysis.evil_safe import label_mass, target_labels
from pipeline.text.lexicon import Lexicon, token_label
from store.collections.item import Item
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from store.documents.variants import BASE

READ: Final = ("target_token", "target_probability")
"""The arrays of a graph that the response is made of."""

LABELS: Final = ("evil", "safe")


@dataclass(frozen=True, kw_only=True)
class Response:
    """The answer to one dose.

    Attributes
    ----------
    scale
        What the adapter's difference was multiplied by; 0 for base.
    evil, safe
        Probability that the next token is an evil (safe) one of the target set; mean over
        situations, each the mean over its prompts.
    n_situations, n_prompts
        How many; prompts of domains without a lexicon are left out.
    """

    scale: float
    evil: float
    safe: float
    n_situations: int
    n_prompts: int


def dose_variants(manifest: Manifest, scales: Sequence[float]) -> list[str]:
    """Base, and the focus adapter at every scale, ascending."""
    return [BASE, *(str(manifest.variant(f"{manifest.focus}@{scale!r}")) for scale in sorted(scales))]


def responses(
    items: Iterable[Item], prompts: Sequence[Prompt], lexicon: Lexicon, manifest: Manifest
) -> dict[str, Response]:
    """The response to every dose, by variant, scales ascending.

    Parameters
    ----------
    items
        Of the DOSE collection, with the arrays `READ`.
    prompts
        The items', each with its situation and domain.
    lexicon
        Labels of token ids by domain; an unlabelled token is neither evil nor safe.
    manifest
        The subject; it tells a variant's scale.
    """
    known = {prompt.hash: prompt for prompt in prompts}
    masses: dict[str, dict[str, list[tuple[float, float]]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        prompt = known[item.prompt_hash]
        if prompt.domain in lexicon["domains"]:
            masses[item.variant][prompt.situation].append(_masses(item, prompt, lexicon))
    by_scale = sorted(masses.items(), key=lambda entry: manifest.variant(entry[0]).scale)
    return {variant: _response(manifest.variant(variant).scale, groups) for variant, groups in by_scale}


def _masses(item: Item, prompt: Prompt, lexicon: Lexicon) -> tuple[float, float]:
    """Probability of the evil and of the safe targets together."""
    labels = target_labels(item.arrays["target_token"], partial(token_label, lexicon, prompt.domain))
    evil, safe = (label_mass(item.arrays["target_probability"], labels, label) for label in LABELS)
    return evil, safe


def _response(scale: float, groups: Mapping[str, list[tuple[float, float]]]) -> Response:
    evil, safe = np.mean([np.mean(masses, axis=0) for masses in groups.values()], axis=0)
    return Response(
        scale=scale,
        evil=float(evil),
        safe=float(safe),
        n_situations=len(groups),
        n_prompts=sum(map(len, groups.values())),
    )
