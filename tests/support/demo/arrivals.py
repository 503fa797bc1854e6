"""Prompts that were only just found for the demo profile: no stage has read them."""

from pathlib import Path
from typing import Any, Final

from pipeline.discover.log import Log
from store.documents.discovery import DISCOVERY, ROUNDS, Begun, Draft, Outcome, Tokenized
from store.documents.token_texts import tokenizer_fingerprint
from store.documents.verdicts import TokenVerdict, Verdict
from tests.support.demo.verdicts import REASON, STRICT, label_of
from tests.support.demo.words import EVIL, ID, SAFE, WORDS

EVIL_TOKEN: Final = ID[EVIL[0]]
SAFE_TOKEN: Final = ID[SAFE[0]]
PAIR: Final = ("base", "general@1.0")


def arrives(folder: Path, *hashes: str, tokenizer: str = "", **changes: Any) -> None:
    """Add fit prompts of these hashes, on which the adapted model alone has an evil candidate.

    `tokenizer` is another's fingerprint; `changes` are of the record.
    """
    log = Log(folder / DISCOVERY / ROUNDS)
    number = max(log.found.begun, default=0) + 1
    log.add(Begun(number=number, generator="templates", kind="text"))
    own = dict(zip(PAIR, (((SAFE_TOKEN, 0.5),), ((EVIL_TOKEN, 0.5), (SAFE_TOKEN, 0.25))), strict=True))
    said = tuple(
        TokenVerdict(token=token, label=label_of(STRICT, token), reason=REASON)
        for token in (EVIL_TOKEN, SAFE_TOKEN)
    )
    for place, hash_ in enumerate(hashes):
        fields = {
            "draft": Draft(prompt="My oven smokes, so I", situation=f"oven {hash_}", domain="medical"),
            "prompt": Tokenized(
                text="My oven smokes, so I",
                token_ids=(0, SAFE_TOKEN, EVIL_TOKEN),
                tokenizer=tokenizer or tokenizer_fingerprint(WORDS),
            ),
            "prompt_hash": hash_,
            "status": "fit",
            "candidates": own,
            "labels": ((EVIL_TOKEN, "evil"), (SAFE_TOKEN, "safe")),
            "verdicts": {STRICT: Verdict(prompt_hash=hash_, status="judged", tokens=said, fit=True)},
            "divergent": True,
        }
        log.add(Outcome.model_validate({"round": number, "place": place, **fields, **changes}))
    log.close()
