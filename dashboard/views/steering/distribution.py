"""What the Steering page asks of a loaded model, and what it shows of the answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from dashboard.live.models import EMPTY, Live, NotLiveError, explained
from pipeline.analysis.next_token import Mass, distribution_table, mass
from pipeline.interventions.kinds import Intervention
from pipeline.text.lexicon import classify
from store.documents.token_texts import token_text

if TYPE_CHECKING:
    from pipeline.interventions.results import Continuations, NextToken


def token_ids(live: Live, text: str) -> tuple[int, ...]:
    """Token ids of a typed prompt, BOS in front.

    Raises
    ------
    NotLiveError
        The text is empty or too long.
    """
    if not text.strip():
        raise NotLiveError(EMPTY)
    with explained():
        ids = tuple(int(token) for token in live.subject.encode(text))
    if len(ids) > live.engine.context:
        raise NotLiveError(f"The prompt is {len(ids)} tokens long; the model takes {live.engine.context}.")
    return ids


def _acting(setting: Sequence[Intervention]) -> list[Intervention]:
    return [one for one in setting if not one.does_nothing]


def next_token(live: Live, ids: Sequence[int], setting: Sequence[Intervention]) -> "NextToken":
    """Next-token distribution before and after, with the random controls.

    Raises
    ------
    NotLiveError
        A feature or position that the model does not have.
    """
    live.use_threads()
    with explained():
        return live.engine.next_token(ids, _acting(setting))


def sample(
    live: Live,
    ids: Sequence[int],
    setting: Sequence[Intervention],
    *,
    n: int,
    max_new_tokens: int,
    temperature: float,
) -> Iterator["Continuations"]:
    """Iterator of continuations before and after, growing token by token."""
    live.use_threads()
    return live.engine.sample(
        ids, _acting(setting), n=n, max_new_tokens=max_new_tokens, temperature=temperature
    )


def outcome(text: str, phrases: dict[str, list[str]] | None) -> str:
    """What a continuation is, by the domain's phrases; unlabelled without any."""
    if not phrases:
        return "unlabelled"
    return classify(text, phrases)


def distribution_frame(
    result: "NextToken", *, vocabulary: Sequence[str], labels: Mapping[int, str], limit: int = 12
) -> pd.DataFrame:
    """Before, after and the controls' band, of the most probable tokens on either side.

    Returns
    -------
    pd.DataFrame
        Columns token, text, label, side (before, after), probability, low and high (the
        controls' band; NaN where they are too few, and on the before side).
    """
    frame = distribution_table(
        result.baseline_probability, result.steered_probability, result.control_probability, limit
    )
    texts = [token_text(vocabulary, token) for token in frame["token"].to_list()]
    frame.insert(1, "text", texts)
    frame.insert(2, "label", [labels.get(token, "unlabelled") for token in frame["token"].to_list()])
    return frame


def mass_on(result: "NextToken", tokens: Sequence[int]) -> Mass:
    """Probability on some tokens: before, after, and the band of the controls."""
    return mass(result.baseline_probability, result.steered_probability, result.control_probability, tokens)
