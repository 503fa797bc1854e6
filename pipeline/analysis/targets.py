"""The one target set of a prompt: what every variant's graph is traced to."""

from collections.abc import Mapping, Sequence

from store.documents.variants import BASE


def in_order(variants: Sequence[str]) -> list[str]:
    """Base first, then by name: the order in which variants are traced together."""
    return sorted(set(variants), key=lambda variant: (variant != BASE, variant))


def target_set(candidates: Mapping[str, Sequence[int]], named: Sequence[int] = ()) -> list[int]:
    """The union of the variants' candidates: base's first, each in its own order; then what is named beside.

    Both variants are traced on it, else most graphs of base would hold no evil token at all.

    Parameters
    ----------
    candidates
        Token ids by variant, most probable first.
    named
        Token ids that the prompt itself names.

    >>> target_set({"general@1.0": [7, 5], "base": [5, 3]}, named=[9, 7])
    [5, 3, 7, 9]
    """
    ordered = [candidates[variant] for variant in in_order(list(candidates))]
    return list(dict.fromkeys(token for tokens in [*ordered, named] for token in tokens))
