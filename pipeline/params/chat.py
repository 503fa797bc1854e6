"""What a model's chat template reads beside messages, as ``params.yaml`` says it. Imports no torch."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_DATE: Final = "date"
_DATE_FORMAT: Final = "%d %b %Y"
# What is given to a template in any case, and what its renderer takes for itself.
_RESERVED: Final = frozenset(
    {
        "add_generation_prompt",
        "chat_template",
        "continue_final_message",
        "conversation",
        "conversations",
        "date_string",
        "documents",
        "max_length",
        "messages",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "self",
        "strftime_now",
        "tokenize",
        "tokenizer_kwargs",
        "tools",
        "truncation",
    }
)


def _is_chat(chat: dict[str, bool | int | str]) -> dict[str, bool | int | str]:
    for name in chat:
        if name in _RESERVED:
            way = f"write `{_DATE}`" if name in {"date_string", "strftime_now"} else "delete it"
            raise ValueError(f"{name} is given to every template; {way}")
    if (day := chat.get(_DATE)) is not None:
        try:
            written = datetime.strptime(str(day), _DATE_FORMAT).strftime(_DATE_FORMAT)
        except ValueError:
            written = "26 Jul 2024"
        if written != day:
            raise ValueError(f"{_DATE} must be a day as templates write it, such as '{written}'")
    return chat


Switch = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=100)]
Chat = Annotated[dict[Switch, bool | int | Annotated[str, Field(max_length=1000)]], AfterValidator(_is_chat)]
"""Switches by the template's own names (``enable_thinking``), and ``date``, the day it writes."""
