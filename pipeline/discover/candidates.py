"""Candidates of drafts: the items of stage `candidates`, by the same keys, so that it finds them made."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.attribution.graph_units import CANDIDATES
from pipeline.attribution.parameters import CANDIDATE_PARAMS
from pipeline.items.subject import Subject
from pipeline.labels.candidates import Own
from pipeline.params.graphs import GraphParams
from store.documents.prompts import Prompt


class Traced(NamedTuple):
    """Candidates by prompt hash and variant, and why others have none."""

    own: dict[str, Own]
    failures: dict[str, str]


def candidates_on(subject: Subject, prompts: Sequence[Prompt], graphs: GraphParams) -> Traced:
    """Candidates of base and the focus variant on each prompt; what was computed before is taken over."""
    arguments = graphs.model_dump(include=set(CANDIDATE_PARAMS))
    units = [
        subject.unit(CANDIDATES, prompt, [variant], [("candidates", variant)], arguments)
        for prompt in prompts
        for variant in subject.pair
    ]
    failures = subject.executor(units, subject.source, subject.cache, "candidates")
    failed = {failure.prompt_hash: failure.reason for failure in failures}
    own: dict[str, Own] = {}
    for unit in units:
        (variant,) = unit.variants
        item = subject.cache.get("candidates", unit.item(variant).key)
        if item is None or unit.prompt_hash in failed:
            failed.setdefault(unit.prompt_hash, "the item cache lost it; run again")
            continue
        tokens, probabilities = item.arrays["candidate_token"], item.arrays["candidate_probability"]
        own.setdefault(unit.prompt_hash, {})[variant] = dict(
            zip(tokens.tolist(), probabilities.tolist(), strict=True)
        )
    return Traced({prompt: of for prompt, of in own.items() if prompt not in failed}, failed)
