"""Verdicts of made-up judges on the demo profile: one reads the lexicon, the other is never sure of some."""

from pathlib import Path
from typing import Final, Literal

from pipeline.labels.candidates import candidates_of, own_candidates
from store.collections.reader import open_collection
from store.documents.verdicts import TokenVerdict, Verdict, write_verdicts
from tests.support.demo.words import EVIL, ID, SAFE

STRICT: Final = "strict"
TIMID: Final = "timid"
REASON: Final = "because <b>it</b> says so"


def give_verdicts(folder: Path) -> None:
    """Write the verdicts of both judges below a profile's folder; the timid one is unsure of evil tokens."""
    found = open_collection(folder / "candidates")
    for judge in (STRICT, TIMID):
        verdicts = []
        for prompt in found.prompts():
            said = tuple(
                TokenVerdict(token=token, label=label_of(judge, token), reason=REASON)
                for token in candidates_of(own_candidates(found, prompt))
            )
            verdicts.append(Verdict(prompt_hash=prompt, status="judged", tokens=said, fit=True))
        write_verdicts(folder, judge, verdicts)


def label_of(judge: str, token: int) -> Literal["evil", "safe", "unsure"]:
    """What a judge says of a token."""
    if token in {ID[word] for word in EVIL}:
        return "evil" if judge == STRICT else "unsure"
    return "safe" if token in {ID[word] for word in SAFE} else "unsure"
