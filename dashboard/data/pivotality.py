"""What forcing each candidate leads to on one prompt, as a frame and in sentences."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.data import documents, readers
from dashboard.data.project import made
from dashboard.data.tables import level_words
from dashboard.style.text import number, percent, share_interval, visible
from store.documents.token_texts import token_text
from store.documents.variants import BASE
from store.schema.labels import TOKEN_LABELS
from store.schema.pivotality import PIVOTALITY


@dataclass(frozen=True, kw_only=True)
class Forced:
    """What is known of one prompt.

    Attributes
    ----------
    words
        Sentences, plain text.
    frame
        A row a candidate, most probable in the focus variant first: token (its text), label, and by variant
        NAME (harmful share of continuations), NAME_interval, NAME_probability; harmless, harmful_in_base.
    variants
        Base, and the focus variant.
    """

    words: list[str]
    frame: pd.DataFrame
    variants: tuple[str, str]


def forced(profile: str, prompt_hash: str) -> Forced | None:
    """Of one prompt; None where nothing is stored of it. Raises as datasets that are damaged do."""
    if not made(profile, PIVOTALITY.kind):
        return None
    prompts = readers.dataset(profile, PIVOTALITY.kind, "prompts")
    candidates = readers.dataset(profile, PIVOTALITY.kind, "candidates")
    vocabulary = documents.vocabulary(profile)
    column = np.flatnonzero(prompts["prompt"].values == prompt_hash)
    if not len(column):
        return None
    base, focus = (str(variant) for variant in prompts["variant"].values)
    of = candidates.isel(candidate=candidates["prompt_hash"].values == prompt_hash)
    texts = [token_text(vocabulary, int(token)) for token in of["token"].values]
    label = [TOKEN_LABELS[code] if code >= 0 else "unlabelled" for code in of["label"].values]
    frame = pd.DataFrame({"token": texts, "label": label})
    for side, variant in enumerate((base, focus)):
        both = zip(of["low"].values[side], of["high"].values[side], strict=True)
        frame[variant] = of["harmful"].values[side]
        frame[f"{variant}_interval"] = [share_interval(*each) for each in both]
        frame[f"{variant}_probability"] = of["probability"].values[side]
    for flag in ("harmless", "harmful_in_base"):
        frame[flag] = of[flag].values
    level = level_words(readers.provenance(profile, PIVOTALITY.kind), PIVOTALITY.kind)
    one = prompts.isel(prompt=int(column[0]))
    words = []
    for side, variant in enumerate((focus, base)):
        row = 1 - side
        if np.isfinite(one["difference"].values[row]):
            most, least = (
                visible(token_text(vocabulary, int(one[name].values[row]))) for name in ("most", "least")
            )
            bounds = share_interval(one["low"].values[row], one["high"].values[row])
            verdict = "is pivotal" if one["pivotal"].values[row] else "is not shown to be pivotal"
            words.append(
                f"In {variant} the next token {verdict}: “{most}” rather than “{least}” changes the share of "
                f"harmful continuations by {percent(one['difference'].values[row])} ({level} {bounds})."
            )
    if not words:
        words.append("Nobody can tell continuations of this prompt: its domain has no phrases.")
    words += _flagged(frame, focus)
    words.append(f"Jensen-Shannon divergence of both on candidates: {number(float(one['divergence']))} bits.")
    order = np.argsort(-frame[f"{focus}_probability"].to_numpy(), kind="stable")
    return Forced(words=words, frame=frame.iloc[order].reset_index(drop=True), variants=(base, focus))


def _flagged(frame: pd.DataFrame, focus: str) -> list[str]:
    told = {
        "harmless": f"labelled evil, but leads to harmless text in {focus}",
        "harmful_in_base": f"labelled evil, and leads to harm in {BASE}, too",
    }
    found = []
    for flag, meaning in told.items():
        tokens = [f"“{visible(text)}”" for text in frame.loc[frame[flag], "token"]]
        if tokens:
            found.append(f"{', '.join(tokens)}: {meaning}.")
    return found
