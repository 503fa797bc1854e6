"""One prompt, labelled: every rater's labels, what counts, and the prompt's state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.labels.candidates import Own, candidates_of
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.prompt_state import PromptState, prompt_state
from pipeline.labels.resolution import Counted, counted, rejected_by, said_of
from pipeline.params.labels import LabelParams
from pipeline.text.lexicon import Lexicon, TokenLabel, labels_on
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.documents.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class LabelledPrompt:
    """What is stored of one prompt.

    Attributes
    ----------
    candidates
        Token ids: those of base and the adapters, then what the prompt names and people labelled beside them.
    n_candidates
        How many of them are candidates.
    raters
        Labels by token id, by rater.
    counted
        Of each token.
    rejected_by
        Empty: it is fit.
    """

    prompt_hash: str
    candidates: Sequence[int]
    n_candidates: int
    raters: Mapping[str, Mapping[int, TokenLabel]]
    counted: Sequence[Counted]
    state: PromptState
    rejected_by: str


def labelled_prompt(
    prompt: Prompt,
    own: Own,
    focus: str,
    lexicon: Lexicon,
    verdicts: Mapping[str, Mapping[str, Verdict]],
    people: PeoplesLabels,
    params: LabelParams,
) -> LabelledPrompt:
    """Resolve what is said of one prompt.

    Parameters
    ----------
    own
        Its candidates, base's and the focus variant's among them.
    verdicts
        By judge and prompt hash.
    """
    said = said_of(prompt.hash, labels_on(lexicon, prompt), verdicts, people)
    candidates = candidates_of(own)
    named = {*prompt.targets, *(token for labels in said.human.values() for token in labels)}
    beside = sorted(named - set(candidates))
    tokens = [*candidates, *beside]
    which = [counted(said, token, params.order) for token in tokens]
    return LabelledPrompt(
        prompt_hash=prompt.hash,
        candidates=tokens,
        n_candidates=len(candidates),
        raters=said.raters(),
        counted=which,
        state=prompt_state(
            own[BASE],
            own[focus],
            {token: each.label for token, each in zip(tokens, which, strict=True)},
            least=params.least_change,
        ),
        rejected_by=rejected_by(said, params.order),
    )
