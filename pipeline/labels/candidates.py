"""Candidates as stage `candidates` wrote them: what is labelled."""

from pipeline.analysis.targets import target_set
from store.collections.reader import Collection

Own = dict[str, dict[int, float]]
"""Candidates of one prompt by variant: probability by token id, most probable first."""


def own_candidates(found: Collection, prompt_hash: str) -> Own:
    """Every variant's own candidates on a prompt, of the CANDIDATES collection."""
    own = {}
    for variant in found.variants(prompt_hash):
        arrays = found.item(prompt_hash, variant).arrays
        tokens, probabilities = arrays["candidate_token"], arrays["candidate_probability"]
        own[variant] = dict(zip(tokens.tolist(), probabilities.tolist(), strict=True))
    return own


def all_candidates(found: Collection) -> dict[str, Own]:
    """Those of every prompt, by its hash: `own_candidates` of each, in one reading."""
    of: dict[str, Own] = {}
    for who, (tokens, probabilities) in found.each(("candidate_token", "candidate_probability")):
        own = dict(zip(tokens.tolist(), probabilities.tolist(), strict=True))
        of.setdefault(who.prompt_hash, {})[who.variant] = own
    return of


def candidates_of(own: Own) -> list[int]:
    """Token ids of all of them, in the order of the target set that graphs are traced on."""
    return target_set({variant: list(tokens) for variant, tokens in own.items()})
