"""What the labelling component shows of a prompt: texts and numbers, and no verdict before its time."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dashboard.data import documents, labelling, readers
from dashboard.data.pivotality import forced
from dashboard.style.text import NEWLINE, number, visible
from dashboard.style.theme import LABEL_GLYPHS
from dashboard.views.labels.desk import Desk
from pipeline.analysis.label_queue import DISAGREE, EVIL_DIVERGENT, RANDOM, Draw
from pipeline.labels.resolution import LEXICON
from pipeline.labels.standing import Standing
from pipeline.labels.strata import differ
from store.base.errors import StoreError
from store.documents.prompts import Prompt
from store.documents.split_characters import joined, spans
from store.documents.token_texts import token_text
from store.documents.variants import BASE
from store.views.samples import continuations

SAMPLES: Final = 2
"""Of each variant, that begin with a candidate, are shown at most."""

_ROW, _FRAME = 30, 290
"""Pixels of a candidate, and of all that is above and below them: said, the page keeps them free."""

STRATA: Final = {
    EVIL_DIVERGENT: "prompts with an evil candidate in the adapted model only",
    DISAGREE: "prompts on which judges disagree",
    RANDOM: "all prompts",
}
"""Where a prompt was drawn from, in words."""


def screen(
    desk: Desk, prompt: str, *, kept: Mapping[str, Any], problem: str, locked: str, draw: Draw | None
) -> dict[str, Any]:
    """The component's data.

    Parameters
    ----------
    kept
        ``session`` and ``number``: the last of the browser's actions that is on the disk.
    problem
        Why what was done could not be written; empty: it was.
    locked
        Why nothing can be labelled; empty: all can.
    draw
        How the prompt came into the queue; None: it was chosen by hand.
    """
    now = desk.standing(prompt)
    task = desk.task(prompt, draw)
    final = now.state != "open"
    pair = tuple(dict.fromkeys((BASE, documents.focus(desk.profile))))
    colours = readers.colours(desk.profile)
    others = _others(desk, prompt) if final else {}
    samples = {variant: _samples(desk.profile, prompt, variant) for variant in pair}
    last = [done for done in desk.done if done != prompt][-1:]
    return {
        "prompt": prompt,
        "chips": _chips(desk.prompts[prompt]),
        "variants": [{"name": variant, "colour": colours[variant]} for variant in pair],
        "glyphs": LABEL_GLYPHS,
        "candidates": [
            {
                "token": token,
                "text": visible(token_text(task.texts, token)),
                **_bars(desk, prompt, token, pair, colours),
                "verdicts": others.get(token, []),
                "comment": now.comments.get(token, ""),
                "samples": [
                    {"variant": variant, "colour": colours[variant], "text": text}
                    for variant in pair
                    for text in samples[variant].get(token, [])[:SAMPLES]
                ],
            }
            for token in task.candidates
        ],
        "state": now.state,
        "marks": list(now.marks.items()),
        "torn": {str(token): " and ".join(labels) for token, labels in now.torn.items()},
        "undoable": list(now.undoable),
        "differs": _differs(desk, prompt, now) if now.state == "submitted" else [],
        "last": last[0] if last else None,
        "says": _says(desk, prompt, now, draw, problem=problem, locked=locked),
        "kept": dict(kept),
        "problem": bool(problem),
        "locked": locked,
        "pixels": _FRAME + _ROW * len(task.candidates),
    }


def _chips(prompt: Prompt) -> list[dict[str, Any]]:
    """The prompt's tokens; those that share a character stand together."""
    chips = []
    for first, end in spans(prompt.tokens):
        text = visible(joined(prompt.tokens[first:end]))
        where = f"position {first}" if end == first + 1 else f"positions {first} to {end - 1}"
        chips.append({"text": text, "title": where, "newline": text == NEWLINE})
    return chips


def _bars(
    desk: Desk, prompt: str, token: int, pair: Sequence[str], colours: Mapping[str, str]
) -> dict[str, Any]:
    own = desk.own[prompt]
    largest = max(max(own[variant].values(), default=1.0) for variant in pair)
    bars, spoken = [], []
    for variant in pair:
        p = own[variant].get(token)
        words = f"{variant}: " + ("not among its candidates" if p is None else f"probability {number(p)}")
        bars.append(
            {
                "share": 0.0 if p is None else p / largest,
                "number": "—" if p is None else number(p),
                "colour": colours[variant],
                "title": words,
            }
        )
        spoken.append(words)
    return {"bars": bars, "spoken": "; ".join(spoken)}


def _samples(profile: str, prompt: str, variant: str) -> dict[int, list[str]]:
    """Sampled continuations by their first token, the most frequent first; none where none were sampled."""
    try:
        item = readers.collection(profile, "samples").item(prompt, variant)
    except StoreError:
        return {}
    words = documents.vocabulary(profile)
    counts = Counter(tuple(ids) for ids in continuations(item) if ids)
    found: dict[int, list[str]] = {}
    for ids, _ in counts.most_common():
        text = visible(joined([token_text(words, token) for token in ids]))
        found.setdefault(ids[0], []).append(text)
    return found


def _others(desk: Desk, prompt: str) -> dict[int, list[dict[str, str]]]:
    """What judges and the lexicon say of each candidate."""
    found: dict[int, list[dict[str, str]]] = {}
    for judge, verdict in labelling.judged(desk.profile, prompt).items():
        for each in verdict.tokens:
            said = {"rater": judge, "label": each.label, "reason": each.reason}
            found.setdefault(each.token, []).append(said)
    for token, label in desk.lexicon(prompt).items():
        reason = "The prompt's line names it." if token in desk.prompts[prompt].targets else ""
        found.setdefault(token, []).append({"rater": LEXICON, "label": label, "reason": reason})
    return found


def _differs(desk: Desk, prompt: str, now: Standing) -> list[int]:
    """Candidates that the person labels otherwise than some judge, in the order of the screen."""
    judges = labelling.judged_labels(desk.profile, prompt).values()
    other = {token for labels in judges for token in differ(now.marks, labels)}
    return [token for token in now.marks if token in other]


def _says(desk: Desk, prompt: str, now: Standing, draw: Draw | None, *, problem: str, locked: str) -> str:
    if problem:
        return "Not on the disk yet: what is above says why. The next key tries again."
    return locked if now.state == "open" else _final_words(desk, prompt, now, draw)


def _final_words(desk: Desk, prompt: str, now: Standing, draw: Draw | None) -> str:
    words = [f"Rejected: {now.reason}" if now.state == "rejected" else "Final."]
    unfit = [
        f"{judge} finds the prompt unfit: {verdict.rule}."
        for judge, verdict in labelling.judged(desk.profile, prompt).items()
        if verdict.fit is False
    ]
    if draw is None:
        words.append("Chosen by hand.")
    else:
        stratum = STRATA.get(draw.stratum, draw.stratum)
        words.append(f"Drawn from {stratum} (probability {number(draw.probability)}).")
    words += _decides(desk.profile, prompt)
    differs = len(_differs(desk, prompt, now))
    if now.state == "submitted" and differs:
        words.append(f"{differs} not as a judge says: why?")
    words.append("Enter goes on" if desk.queue.after(prompt) else "No other prompt waits")
    words[-1] += ", u opens it again."
    return " ".join([*words[:1], *unfit, *words[1:]])


def _decides(profile: str, prompt: str) -> list[str]:
    """Whether the next token decides in the focus variant; nothing where that is not known."""
    try:
        found = forced(profile, prompt)
    except StoreError:
        return []
    return [] if found is None else found.words[:1]
