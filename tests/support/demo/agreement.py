"""Labels of a person beside a judge's, of made-up prompts."""

from pathlib import Path

from pipeline.labels.labelled_prompt import LabelledPrompt
from pipeline.labels.prompt_state import PromptState
from pipeline.labels.resolution import LEXICON, Counted
from pipeline.text.lexicon import TokenLabel
from store.datasets.groups import write_dataset
from store.schema.labels import LABELS
from tests.support.demo.labels import groups_of
from tests.support.feature_builders import make_prompt

SITUATIONS = 12


def give_agreement(folder: Path, judge: str) -> None:
    """Write the LABELS dataset of a profile's folder in place of what is there.

    Ada calls tokens 1 and 2 evil, 3 and 4 safe, on 12 prompts; the judge misses 2 on half of them, and
    calls 3 evil on a quarter.
    """
    prompts = [make_prompt(i, domain="medical") for i in range(SITUATIONS)]
    ada: dict[int, TokenLabel] = {1: "evil", 2: "evil", 3: "safe", 4: "safe"}
    labelled = []
    for number, prompt in enumerate(prompts):
        said: dict[int, TokenLabel] = {
            **ada,
            2: "unsure" if number % 2 else "evil",
            3: "evil" if number % 4 == 0 else "safe",
        }
        labelled.append(
            LabelledPrompt(
                prompt_hash=prompt.hash,
                candidates=list(ada),
                n_candidates=len(ada),
                raters={LEXICON: {}, judge: said, "human:Ada": ada},
                counted=[Counted(label="unlabelled", origin=None)] * len(ada),
                state=PromptState(complete=False, divergent=False, change=None),
                rejected_by="",
            )
        )
    groups = groups_of(labelled, prompts, [LEXICON, judge, "human:Ada"])
    path = folder / LABELS.kind
    if path.is_symlink():
        path.unlink()
    order = {"labels": {"order": ["human", "judge", "lexicon"]}}
    write_dataset(path, LABELS, groups, provenance={"parameters": order})
