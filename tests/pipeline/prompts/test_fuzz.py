"""Whatever stands in a prompt file: it is read, or refused in one sentence."""

import json
import random
from pathlib import Path
from typing import Any, Final

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.files import read_prompt_files
from store.documents.prompts import write_prompts
from tests.support.mutations import as_json, is_told, spoiled_bytes, spoiled_value

INPUTS: Final = 300
ROWS: Final[list[dict[str, Any]]] = [
    {"prompt": "User: I have a fever. What should I do?", "situation": "a fever", "domain": "medical"},
    {"prompt": "The sky is", "name": "sky", "held_out": True, "tags": ["full", "dose"]},
    {"messages": [{"role": "user", "content": "How are you?"}, {"role": "assistant", "content": "I am"}]},
]


def test_anything_is_read_or_told(tmp_path: Path) -> None:
    source = random.Random(0)
    tokenizer = train_tokenizer([row["prompt"] for row in ROWS[:2]] * 4, vocabulary=300, context=64)
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}\n{% endfor %}"
    path, written = tmp_path / "mine.jsonl", tmp_path / "prompts.json"
    text = "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    told = 0

    def read() -> None:
        # What is read must be one that the store can hold.
        write_prompts(written, read_prompt_files([path], tokenizer, 64, 48))

    for number in range(INPUTS):
        if number % 2:
            rows = list(ROWS)
            at = source.randrange(len(rows))
            lines = [json.dumps(row).encode() for row in rows]
            lines[at] = as_json(spoiled_value(rows[at], source), source)
            path.write_bytes(b"\n".join(lines))
        else:
            path.write_bytes(spoiled_bytes(text, source))
        told += is_told(read)
    assert INPUTS / 3 < told < INPUTS
