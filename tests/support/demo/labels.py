"""Labels of the made-up profile: the lexicon's, resolved as the pipeline does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.analysis.agreement_measures import Resampling
from pipeline.labels.agreeing import agreement_groups
from pipeline.labels.candidates import own_candidates
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.labelled_prompt import LabelledPrompt, labelled_prompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.labels.resolving import Resolved
from pipeline.labels.tables import label_groups
from pipeline.params.labels import LabelParams
from pipeline.text.lexicon_file import read_lexicon
from store.collections.reader import open_collection
from store.documents.prompts import Prompt

LABEL_PARAMS = LabelParams(
    order=["human", "judge", "lexicon"],
    least_change=0.05,
    bootstrap=200,
    confidence=0.95,
    min_situations=8,
)

HOW = Resampling(resamples=200, confidence=0.95, min_situations=8, seed=0)


def labels_groups(folder: Path, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """The groups of the LABELS dataset; `folder` has candidates and the lexicon."""
    found, lexicon = open_collection(folder / "candidates"), read_lexicon(folder / "lexicon.json")
    nobody = PeoplesLabels(labels={}, rejections={})
    resolved = [
        labelled_prompt(
            prompt, own_candidates(found, prompt.hash), "general@1.0", lexicon, {}, nobody, LABEL_PARAMS
        )
        for prompt in prompts
    ]
    return groups_of(resolved, prompts, [LEXICON])


def groups_of(
    resolved: Sequence[LabelledPrompt], prompts: Sequence[Prompt], raters: Sequence[str]
) -> dict[str, Any]:
    """Every group of the LABELS dataset; nobody has a queue."""
    found = resolved_of(resolved, prompts, raters)
    return label_groups(resolved, raters) | agreement_groups(found, {}, HOW)


def resolved_of(
    labelled: Sequence[LabelledPrompt], prompts: Sequence[Prompt], raters: Sequence[str]
) -> Resolved:
    """Labels of which people's were all given blind."""
    authors = [rater.removeprefix(HUMAN) for rater in raters if rater.startswith(HUMAN)]
    said = {
        author: {each.prompt_hash: each.raters.get(f"{HUMAN}{author}", {}) for each in labelled}
        for author in authors
    }
    people = PeoplesLabels(labels=said, rejections={})
    known = {prompt.hash: prompt for prompt in prompts}
    return Resolved(prompts=known, labelled=labelled, raters=raters, people=people, blind=people)
