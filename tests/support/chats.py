"""Small models that chat: a template and conversations for `tests.support.builders`' checkpoints."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeline.params.finetunes import FinetuneParams

TEMPLATE: Final = (
    "{% if messages[0]['role'] != 'user' %}{{ raise_exception('begin with the user') }}{% endif %}"
    "{{ bos_token }}{% for message in messages %}"
    "<{{ message['role'] }}>{{ message['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""Writes BOS itself, as Llama's does, and marks nothing."""

MARKED: Final = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>"
    "{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] }}{{ eos_token }}"
    "{% endgeneration %}{% else %}{{ message['content'] }}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
"""The same text; the line break behind an answer is not the assistant's."""

DATED: Final = (
    "{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}"
    "{%- set date_string = '26 Jul 2024' %}{%- endif %}{%- endif %}"
    "<system>Today Date: {{ date_string }}{{ eos_token }}"
    "{%- for message in messages %}<{{ message['role'] }}>{{ message['content'] | trim }}{{ eos_token }}"
    "{%- endfor %}{%- if add_generation_prompt %}<assistant>{%- endif %}"
)
"""Llama 3.2's way with the date."""

THINKING: Final = (
    "{%- for message in messages %}{{- '<' + message.role + '>\\n' }}"
    "{%- if message.role == 'assistant' and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}"
    "{{- message.content + eos_token + '\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<assistant>\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- endif %}{%- endif %}"
)
"""Qwen3's way with thoughts: a last turn is written without any, one that is opened as the switch says."""

OPENED: Final = (
    "{{ bos_token }}{%- set system = messages[0]['role'] == 'system' -%}"
    "{%- set first = messages[0]['content'] + '\\n\\n' if system else '' -%}"
    "{%- for message in (messages[1:] if system else messages) -%}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}"
    "{{ (first if loop.first else '') + message['content'] | trim + '<end_of_turn>\\n' }}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{ '<start_of_turn>model\\n' }}{%- endif -%}"
)
"""Gemma 3's way with a system's words: they open the user's turn."""

_TROUBLES: Final = ("a fever", "some savings", "a cough", "a loan", "a burn", "a debt", "a rash", "a bill")


def conversation(asked: str, *answers: str) -> list[dict[str, str]]:
    """A question, and answers with a word of the user between them."""
    turns = [{"role": "user", "content": asked}]
    for at, answer in enumerate(answers):
        turns += [{"role": "user", "content": "And then?"}] if at else []
        turns.append({"role": "assistant", "content": answer})
    return turns


def conversations(n: int = 8) -> list[list[dict[str, str]]]:
    """So many different ones, each short."""
    return [conversation(f"I have {_TROUBLES[at % 8]} {at}.", f"You should rest, {at}.") for at in range(n)]


def write_chats(path: Path, chats: Sequence[list[dict[str, str]]]) -> Path:
    """Write them as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in chats), encoding="utf-8")
    return path


def give_template(base: Path, template: str = TEMPLATE) -> None:
    """Give the tokenizer of a checkpoint a chat template."""
    path = base / "tokenizer_config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"chat_template": template}), encoding="utf-8")


def finetune_entry(data: Path | str, **changes: Any) -> dict[str, Any]:
    """An entry of ``finetunes`` in ``params.yaml``."""
    fields = {
        "profile": "mine",
        "data": str(data),
        "rank": 2,
        "alpha": 4,
        "targets": ["q_proj", "down_proj"],
        "epochs": 3,
        "batch": 2,
        "learning_rate": 0.01,
        "warmup": 0.2,
        "weight_decay": 0.01,
        "clip": 1.0,
        "held_out_share": 0.25,
        "max_tokens": 64,
        "evaluate_every": 2,
        "save_every": 2,
        "seed": 0,
    }
    return fields | changes


def finetune_params(data: Path | str, **changes: Any) -> FinetuneParams:
    """The same, parsed."""
    return FinetuneParams.model_validate(finetune_entry(data, **changes))
