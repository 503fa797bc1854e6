"""What decides the tables of answers under steering: where all of it is as it was, they are taken over."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from pipeline.evaluation.asking import Asking
from pipeline.items.code import QualifiedName
from pipeline.items.subject import Subject
from pipeline.items.taken_over import made_of
from pipeline.params.judges import RubricJudge
from pipeline.params.project import Params
from pipeline.steered.choosing import Choice
from pipeline.steered.measuring import ANSWERS, FACTS, SCALES, Abilities
from store.collections.reader import open_collection

MADE_BY: Final = (
    QualifiedName("pipeline.steered.runs", "runs_of"),
    QualifiedName("pipeline.steered.runs", "measured"),
    QualifiedName("pipeline.analysis.steered_tables", "steered_groups"),
    *(code for _, code in (ANSWERS, FACTS, SCALES)),
)
"""What makes the tables."""


def decided_by(
    subject: Subject,
    judge: str,
    choice: Choice,
    askings: Sequence[Asking],
    abilities: Abilities,
    params: Params,
) -> str | None:
    """Digest of all that decides the tables; None: what a judge that is asked says may be more by now."""
    if not isinstance(params.judges[judge], RubricJudge):
        return None
    answers, read = (open_collection(subject.folder / kind) for kind in ("answers", "answer_features"))
    variants = subject.pair
    chosen_on = [question.hash for question in askings[0].questions]
    inputs = [
        {variant: subject.manifest.fingerprint(subject.manifest.variant(variant)) for variant in variants},
        [answers.key(question, variant) for question in chosen_on for variant in variants],
        [read.key(question, subject.focus) for question in chosen_on],
        asdict(choice),
        [
            [asking.each, [question.id for question in asking.questions], asking.arguments]
            for asking in askings
        ],
        {name: list(facts) for name, facts in abilities.items()},
        [judge, thresholds(params), params.steered.model_dump()],
    ]
    return made_of(MADE_BY, subject.runtime, inputs)


def thresholds(params: Params) -> dict[str, Any]:
    """From which scores on an answer is misaligned, or coherent."""
    return params.misalignment.model_dump(include={"misaligned_below", "coherent_above"})
