"""What an adapter changes on a prompt: the largest differences, in numbers and words."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from dashboard.graph.difference import BELOW
from dashboard.graph.pruned import Side
from dashboard.style.node_names import Words
from dashboard.style.text import named, number, percent, visible
from pipeline.analysis.difference import node_changes
from store.documents.token_texts import token_text


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One difference: a number, what it is, and a sentence."""

    value: str
    unit: str
    sentence: str


def candidate_frame(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    variants: tuple[str, str],
    vocabulary: list[str],
    labels: Mapping[int, str],
    limit: int = 20,
) -> pd.DataFrame:
    """Both variants' probabilities on the union of their candidates, in long form.

    Parameters
    ----------
    left, right
        Columns token and probability, of every target traced on that side.
    variants
        Their names.
    vocabulary, labels
        Token texts; token labels by id (absent: unlabelled, which is never safe).
    limit
        At most so many tokens, those with the largest probability on either side.

    Returns
    -------
    pd.DataFrame
        Columns token, text, label, variant, probability (NaN: not known there).
    """
    best = pd.concat([left, right]).groupby("token")["probability"].max()
    tokens = [int(token) for token in best.sort_values(ascending=False, kind="stable").index[:limit]]
    rows: list[dict[str, object]] = []
    # A variant beside itself is one variant, not two bars of the same name.
    for variant, frame in dict(zip(variants, (left, right), strict=True)).items():
        known = dict(zip(frame["token"].astype(int), frame["probability"].astype(float), strict=True))
        rows.extend(
            {
                "token": token,
                "text": token_text(vocabulary, token),
                "label": labels.get(token, "unlabelled"),
                "variant": variant,
                "probability": known.get(token, float("nan")),
            }
            for token in tokens
        )
    return pd.DataFrame(rows, columns=["token", "text", "label", "variant", "probability"])


def largest(
    frame: pd.DataFrame, variants: tuple[str, str], sides: tuple[Side, Side] | None, words: Words
) -> list[Difference]:
    """The three largest differences: evil mass, one candidate, one feature.

    Parameters
    ----------
    frame
        As `candidate_frame` returns it.
    sides
        Both graphs, or None where one was not traced.
    """
    left, right = variants
    wide = frame.pivot_table(
        index=["token", "text", "label"], columns="variant", values="probability", sort=False
    )
    out: list[Difference] = []
    if left != right and {left, right} <= set(wide.columns):
        evil = wide.index.get_level_values("label") == "evil"
        if evil.any():
            a, b = float(wide.loc[evil, left].sum()), float(wide.loc[evil, right].sum())
            out.append(
                Difference(
                    value=number(b - a, sign=True),
                    unit="probability on evil tokens",
                    sentence=f"Evil candidates hold {percent(b)} of the probability in {right}, "
                    f"{percent(a)} in {left}.",
                )
            )
        change = (wide[right] - wide[left]).dropna()
        if len(change):
            token = change.abs().idxmax()
            a, b = float(wide.loc[token, left]), float(wide.loc[token, right])
            out.append(
                Difference(
                    value=number(b - a, sign=True),
                    unit="probability of one candidate",
                    sentence=f"“{visible(str(token[1]))}” ({token[2]}) goes from {number(a)} in {left} "
                    f"to {number(b)} in {right}.",
                )
            )
    if left != right and sides is not None:
        both = node_changes(*sides)
        features = both[both["kind"] == "feature"]
        if len(features):
            row = features.loc[features["change"].abs().idxmax()]
            name = named(words.names, (int(row["layer"]), int(row["feature"])))
            where = f"at “{words.at(int(row['position']))}”"
            if row["presence"] == "right":
                how = f"is active ({number(row['value_right'])}) in {right} only"
            elif row["presence"] == "left":
                how = f"is active ({number(row['value_left'])}) in {left} only"
            else:
                influences = [
                    number(value) if np.isfinite(value) else BELOW
                    for value in (row["influence_left"], row["influence_right"])
                ]
                how = f"has influence {influences[0]} in {left} and {influences[1]} in {right}"
            out.append(
                Difference(
                    value=number(float(row["change"]), sign=True),
                    unit="influence of one feature",
                    sentence=f"{name} {where} {how}.",
                )
            )
    return out
