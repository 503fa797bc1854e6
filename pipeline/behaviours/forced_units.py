"""Items of the `forced_answers` collection: what they are computed from. No torch."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pipeline.items.code import QualifiedName
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.documents.behaviour_prompts import BehaviourPrompt

COMPUTE: Final = QualifiedName("pipeline.behaviours.forced", "compute_forced")


def forced_arguments(prompts: Sequence[BehaviourPrompt], batch: int) -> dict[str, Any]:
    """Arguments of a unit: token ids of prompts and both answers, where these part, and rows at once."""
    return {
        "prompts": [list(each.token_ids) for each in prompts],
        "answers": [[list(each.correct_ids), list(each.incorrect_ids)] for each in prompts],
        "shared": [each.shared for each in prompts],
        "batch": batch,
    }


def forced_hash(prompts: Sequence[BehaviourPrompt]) -> str:
    """What stands for the prompts of one behaviour and split in an item's place of a prompt hash."""
    texts = [[each.prompt, each.correct_answer, each.incorrect_answer] for each in prompts]
    return digest([prompts[0].behaviour, prompts[0].split, texts])[:PROMPT_HASH_DIGITS]


def by_split(prompts: Sequence[BehaviourPrompt]) -> Mapping[str, list[BehaviourPrompt]]:
    """Prompts that are computed together, those of one behaviour and split, by their hash."""
    parts: dict[tuple[str, str], list[BehaviourPrompt]] = {}
    for each in prompts:
        parts.setdefault((each.behaviour, each.split), []).append(each)
    return {forced_hash(of): of for of in parts.values()}
