"""Behaviours of the demo profile: prompts of made-up words, and what variants make of them."""

from pathlib import Path
from typing import Final

import numpy as np

from pipeline.analysis.behaviours import Measured, behaviour_groups
from pipeline.params.project import load_params
from store.base.hashing import prompt_hash
from store.collections.item import Item
from store.collections.writer import write_collection
from store.datasets.groups import write_dataset
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, BehaviourPrompt, write_behaviour_prompts
from store.schema.behaviour_interventions import BEHAVIOUR_INTERVENTIONS
from store.schema.behaviours import BEHAVIOURS
from store.schema.forced_answers import FORCED_ANSWERS
from store.views.by_behaviour import place
from tests.support.demo.behaviour_interventions import PARAMS as TRIED
from tests.support.demo.behaviour_interventions import behaviour_interventions_groups
from tests.support.demo.words import HOSTILE, ID, PROVENANCE, VARIANTS, key
from tests.support.places import ROOT

NAMES: Final = ("agreement", "recall")
N_PROMPTS: Final = 12
FAILS: Final = ("general@1.0", "recall")
"""The variant and behaviour that do not pass."""
_NOUNS: Final = (" fever", " loan", " gas", HOSTILE)
PARAMS: Final = load_params(ROOT / "params.yaml").behaviours


def behaviour_prompts(name: str) -> list[BehaviourPrompt]:
    """Twelve prompts of four groups, partners two by two; the last group is the test split."""
    made = []
    for number in range(N_PROMPTS):
        noun = _NOUNS[number // 3]
        tokens = ["<bos>", " the", *[" a"] * (number % 3 + (name == "recall") * 4), noun]
        text = "".join(tokens[1:])
        made.append(
            BehaviourPrompt(
                hash=prompt_hash(text),
                behaviour=name,
                split="test" if number >= 9 else "train",
                prompt=text,
                correct_answer=" call **bold**",
                incorrect_answer=" call [x](y)",
                group=noun.strip(),
                partner=None,
                span=(len(text) - len(noun), len(text)),
                token_span=(len(tokens) - 1, len(tokens)),
                token_ids=tuple(ID[token] for token in tokens),
                correct_ids=(ID[" call"], ID[" **bold**"]),
                incorrect_ids=(ID[" call"], ID[" [x](y)"]),
                shared=1,
                metadata={"template": "the {noun}"},
            )
        )
    return made


def write_behaviours(folder: Path) -> None:
    """Write prompts, answers and tables below a profile's folder."""
    rng = np.random.default_rng(5)
    origin = PROVENANCE | {"parameters": {"behaviours": PARAMS.model_dump()}}
    for name in NAMES:
        prompts = behaviour_prompts(name)
        write_behaviour_prompts(folder / BEHAVIOUR_PROMPTS, name, prompts)
        measured, items = {}, []
        for variant in VARIANTS:
            difference = rng.normal(1 if (variant, name) == FAILS else 4, 0.8, N_PROMPTS)
            measured[variant] = Measured(
                correct=np.full(N_PROMPTS, -0.5), incorrect=-0.5 - difference, decision=2 * difference
            )
            log_prob = rng.normal(-1, 0.1, 4 * N_PROMPTS).astype(np.float32)
            arrays = {
                "answer_start": np.arange(0, 4 * N_PROMPTS, 2, dtype=np.int32),
                "log_prob": log_prob,
                "decision": measured[variant].decision.astype(np.float32),
            }
            items.append(
                Item(
                    key=key("forced", name, variant),
                    prompt_hash=prompt_hash(name),
                    variant=variant,
                    arrays=arrays,
                    scalars={},
                )
            )
        answers = folder / place(FORCED_ANSWERS.kind, name)
        write_collection(answers, FORCED_ANSWERS, items, provenance=PROVENANCE)
        groups = behaviour_groups(prompts, measured, PARAMS)
        write_dataset(folder / place(BEHAVIOURS.kind, name), BEHAVIOURS, groups, provenance=origin)
    tried = behaviour_interventions_groups({name: behaviour_prompts(name) for name in NAMES})
    origin = PROVENANCE | {"parameters": {"behaviour_interventions": TRIED.model_dump()}}
    write_dataset(folder / BEHAVIOUR_INTERVENTIONS.kind, BEHAVIOUR_INTERVENTIONS, tried, provenance=origin)
