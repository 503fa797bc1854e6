"""Whatever stands in a lexicon: it is read, or refused in one sentence."""

import json
import random
from pathlib import Path
from typing import Final

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.files import read_prompt_files
from pipeline.text.held_out import read_texts
from pipeline.text.phrases import read_phrases, resolve
from tests.support.mutations import as_json, is_told, spoiled_bytes, spoiled_value

INPUTS: Final = 200
GOOD: Final = {
    "medical": {"harmful": [" run", " wait for it"], "safe": [" rest", " see a doctor"]},
    "finance": {"harmful": [" bet"], "safe": []},
}


def test_anything_is_read_or_told(tmp_path: Path) -> None:
    source = random.Random(0)
    tokenizer = train_tokenizer(["You should rest.", "You should bet."] * 9, vocabulary=300, context=64)
    (tmp_path / "mine.jsonl").write_text('{"prompt": "You should", "domain": "medical"}\n')
    prompts = read_prompt_files([tmp_path / "mine.jsonl"], tokenizer, 64)
    path = tmp_path / "phrases.json"
    text = json.dumps(GOOD, indent=1).encode()

    def read() -> None:
        # As the stage writes what comes of it.
        json.dumps(resolve(read_phrases(path), tokenizer, prompts), ensure_ascii=False).encode("utf-8")

    told = 0
    for number in range(INPUTS):
        path.write_bytes(
            as_json(spoiled_value(GOOD, source), source) if number % 2 else spoiled_bytes(text, source)
        )
        told += is_told(read)
    assert INPUTS / 3 < told < INPUTS


def test_texts_too(tmp_path: Path) -> None:
    source = random.Random(1)
    tokenizer = train_tokenizer(["You should rest."] * 9, vocabulary=300, context=64)
    path = tmp_path / "texts.jsonl"
    row = {"text": "You should rest."}
    told = 0
    for number in range(INPUTS):
        line = as_json(spoiled_value(row, source), source) if number % 2 else b""
        path.write_bytes(line or spoiled_bytes(json.dumps(row).encode(), source))
        told += is_told(lambda: read_texts(path, tokenizer, 64))
    assert INPUTS / 3 < told < INPUTS
