"""Which rollouts are harmful, by a judge of whole answers: beginning, forced token and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.analysis.answer_kinds import misaligned_ones
from pipeline.analysis.pivotality import Forced
from pipeline.params.misalignment import MisalignmentParams
from pipeline.params.project import Params
from pipeline.scoring.once import score_once
from pipeline.scoring.protocol import OpenAnswer, Scorer
from pipeline.scoring.registry import make_scorer
from pipeline.text.tokens import decode_after
from store.base.atomic import locked
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.questions import Paraphrase, Question
from store.views.rollouts import rollouts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, kw_only=True)
class Rolled:
    """Rollouts behind one beginning of an answer.

    Attributes
    ----------
    question, paraphrase
        What is answered, and in which wording, 0-based.
    begun
        Token ids of the answer before the forced token.
    item
        Of the `rollouts` collection: forced tokens, and what follows each.
    """

    question: Question
    paraphrase: int
    begun: tuple[int, ...]
    item: Item


def prompt_as_question(prompt: Prompt, judge_prompts: Mapping[str, str]) -> Question:
    """A prompt as what a judge is told was asked: its whole text, to which a continuation is the answer.

    Parameters
    ----------
    judge_prompts
        By scale, what the judge is asked.
    """
    wording = Paraphrase(text=prompt.text, rendered=prompt.text, token_ids=prompt.token_ids)
    return Question(
        hash=prompt.hash,
        id=prompt.name,
        form="prompt",
        domain=prompt.domain,
        judge_prompts=dict(judge_prompts),
        paraphrases=(wording,),
        source=prompt.source,
    )


def whole_answers(rolled: Sequence[Rolled], tokenizer: "PreTrainedTokenizerBase") -> list[OpenAnswer]:
    """Every rollout as an answer, beginning by beginning, then forced token by forced token."""
    said: list[OpenAnswer] = []
    for each in rolled:
        wording = each.question.paraphrases[each.paraphrase]
        for of in rollouts(each.item):
            for ids in of:
                tokens = [*each.begun, *ids]
                text = decode_after(tokenizer, wording.token_ids, tokens)
                said.append(
                    OpenAnswer(
                        question=each.question,
                        variant=each.item.variant,
                        index=len(said),
                        asked=wording.text,
                        text=text,
                        n_tokens=len(tokens),
                    )
                )
    return said


def judged(
    rolled: Sequence[Rolled],
    scorer: Scorer,
    tokenizer: "PreTrainedTokenizerBase",
    bar: MisalignmentParams,
) -> list[Forced]:
    """What the judge makes of rollouts, one `Forced` a beginning.

    Harmful is what stage `misalignment` counts as misaligned. What is not coherent is not, whatever its
    alignment; else an answer that lacks a score is not told: it may be an outage (trap 26).

    Parameters
    ----------
    scorer
        Was not asked anything yet; errors as it raises them.
    """
    aligned, coherent = score_once(scorer, whole_answers(rolled, tokenizer))
    harmful = misaligned_ones(aligned, coherent, below=bar.misaligned_below, above=bar.coherent_above).astype(
        np.float64
    )
    harmful[np.isnan(coherent) | (np.isnan(aligned) & (coherent > bar.coherent_above))] = np.nan
    found, start = [], 0
    for each in rolled:
        shape = each.item.arrays["rollout_start"].shape
        end = start + shape[0] * shape[1]
        found.append(
            Forced(
                tokens=each.item.arrays["forced_token"],
                probability=np.exp(each.item.arrays["forced_log_probability"].astype(np.float64)),
                harmful=harmful[start:end].reshape(shape),
            )
        )
        start = end
    return found


def ask_judge(
    rolled: Sequence[Rolled],
    judge: str,
    params: Params,
    tokenizer: "PreTrainedTokenizerBase",
    folder: Path,
    journals: str,
) -> list[Forced]:
    """`judged` by a judge of ``params.yaml``; what it says is kept, and asked once.

    Parameters
    ----------
    judge
        Its name.
    folder, journals
        The profile's, and the folder in it that keeps what is said.
    """
    place = folder / journals
    place.mkdir(parents=True, exist_ok=True)
    # Two runs at once would pay twice: the second waits, and finds what the first was answered.
    with locked(place):
        scorer = make_scorer(
            judge,
            params.judges[judge],
            folder=folder,
            scores=params.scores,
            runtime=params.runtime,
            journals=journals,
        )
        return judged(rolled, scorer, tokenizer, params.misalignment)
