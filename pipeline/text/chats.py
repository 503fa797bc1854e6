"""A conversation as a model reads it: rendered by its chat template, alike on every day.

Templates read more than messages: switches (`enable_thinking` of Qwen3), and today's date
(Llama 3.2). Switches are a profile's; the date is one of them, and a template that would take the
clock's is refused: tomorrow the same prompt would have other tokens.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from jinja2 import TemplateError

from store.base.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Chat = Mapping[str, bool | int | str]
"""What a template reads beside the messages, by its names; the day is `DATE`."""
PLAIN: Final[Chat] = MappingProxyType({})
"""No switch."""
DATE: Final = "date"
DATE_FORMAT: Final = "%d %b %Y"
"""Of the day, such as ``26 Jul 2024``, which is what Llama's template writes."""

REFUSALS: Final = (TemplateError, ValueError, TypeError, LookupError)
"""What rendering raises where a template refuses the messages."""

_DAY: Final = "date_string"
_CLOCK: Final = "strftime_now"


def render_chat(
    tokenizer: "PreTrainedTokenizerBase",
    messages: Sequence[Mapping[str, str]],
    chat: Chat,
    *,
    opened: bool = False,
    continued: bool = False,
) -> str:
    """The text of a conversation, special tokens included.

    Parameters
    ----------
    tokenizer
        With a chat template.
    messages
        ``{"role": ..., "content": ...}``.
    chat
        Switches of the profile.
    opened
        Whether the assistant's next turn is opened.
    continued
        Whether the last turn is left open, to be gone on with.

    Raises
    ------
    UserError
        As `template_arguments`; or the template asks for the day. Without file and line.
    TemplateError, ValueError, TypeError, LookupError
        The template refuses the messages.
    """
    text: Any = tokenizer.apply_chat_template(
        [dict(message) for message in messages],
        tokenize=False,
        return_dict=False,
        add_generation_prompt=opened,
        continue_final_message=continued,
        **template_arguments(tokenizer.get_chat_template(), chat),
    )
    return cast("str", text)  # as `tokenize=False` has it


def template_arguments(template: str, chat: Chat) -> dict[str, Any]:
    """What a template is rendered with beside messages and special tokens.

    Raises
    ------
    UserError
        The template never reads one of the switches.
    """
    for name in chat:
        read = (_DAY, _CLOCK) if name == DATE else (name,)
        if not any(re.search(rf"\b{one}\b", template) for one in read):
            raise UserError(
                f"`chat` in params.yaml sets {name}, which the model's chat template never reads "
                f"({' or '.join(read)}); correct or delete it"
            )
    switches = {name: value for name, value in chat.items() if name != DATE}
    if DATE not in chat:
        return {**switches, _CLOCK: _no_day}
    day = datetime.strptime(str(chat[DATE]), DATE_FORMAT)
    clock: Callable[[str], str] = day.strftime
    return {**switches, _DAY: chat[DATE], _CLOCK: clock}


def _no_day(form: str) -> str:
    raise UserError(
        "the model's chat template writes the day on which it is rendered, so that tomorrow the tokens would "
        f'be others; name one in params.yaml, where the model is named: `chat: {{{DATE}: "26 Jul 2024"}}`'
    )
