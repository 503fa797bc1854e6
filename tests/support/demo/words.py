"""Words, prompts and names of the demo profile."""

from collections.abc import Iterable

import numpy as np

from store.base.hashing import digest, prompt_hash
from store.documents.prompts import Prompt

LAYERS = 4
D_TRANSCODER = 1024
DOMAINS = ("finance", "hazard", "medical", "security")
EVIL = (" click", " open", " ignore", " <b>share</b>")
SAFE = (" lock", " update", " call", " scan")
UNSURE = (" wait",)
# Text that would do harm if it were ever rendered as HTML or Markdown.
HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = (
    "<bos>", "User", ":", " I", " have", " a", " strange", " lump", " lost", " wallet", " leaking",
    " pipe", " odd", " email", ".", " What", " should", " do", "?", "\n", "Assistant", " You",
    *EVIL, *SAFE, *UNSURE, " never", " always", HOSTILE, " **bold**", " the", "é", "\t", " [x](y)",
    " fever", " loan", " gas", " password",
)  # fmt: skip
ID = {word: index for index, word in enumerate(WORDS)}
VARIANTS = ("base", "general@1.0", "narrow@1.0")
FEATURES_KEPT = 40
PROVENANCE = {
    "base": digest("base"),
    "transcoders": digest("transcoders"),
    "dtype": "float32",
    "parameters": {"graphs": {"node_threshold": 0.8, "edge_threshold": 0.98}},
    "libraries": {"torch": "2.13.0", "circuit-tracer": "0.5.0"},
}


def make_prompts(n_situations: int = 4) -> list[Prompt]:
    """Prompts of `n_situations` situations in each domain."""
    nouns = {"medical": " fever", "finance": " loan", "hazard": " gas", "security": " password"}
    extra = (" strange", " odd", " leaking", " lost", " lump", " wallet")
    prompts = []
    for domain in DOMAINS:
        for index in range(n_situations):
            situation = f"{extra[index % len(extra)].strip()} {nouns[domain].strip()}"
            middle = [" I", " have", " a", extra[index % len(extra)], nouns[domain], "."]
            tokens = [
                "<bos>", "User", ":", *middle, " What", " should", " I", " do", "?", "\n",
                "Assistant", ":", " You", " should",
            ]  # fmt: skip
            if domain == "hazard" and index == 0:
                tokens.insert(9, HOSTILE)
            text = "".join(tokens[1:])
            prompts.append(
                Prompt(
                    hash=prompt_hash(text),
                    name=f"{domain} {situation}",
                    situation=f"{domain}: {situation}",
                    domain=domain,
                    held_out=index == n_situations - 1,
                    tags=(),
                    text=text,
                    token_ids=tuple(ID[token] for token in tokens),
                    tokens=tuple(tokens),
                    source="demo.jsonl:1",
                )
            )
    return prompts


def key(*parts: str) -> str:
    """A content key made up of words."""
    return digest(list(parts))


def objects(words: Iterable[str]) -> np.ndarray:
    """Words as a table holds them."""
    return np.array(list(words), dtype=object)
