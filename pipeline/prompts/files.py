"""Prompt files: JSON lines in, tokenized prompts out; every mistake named by file and line."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field, model_validator

from pipeline.prompts.rendering import Rendered, longer_than, render_messages, render_text
from pipeline.prompts.targets import Targets, target_ids
from pipeline.text.chats import PLAIN, Chat
from pipeline.text.json_lines import Line, Message, Word, parse_line, read_lines
from pipeline.text.token_texts import decode_each
from store.base.errors import UserError
from store.documents.prompts import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Label = Annotated[str, Field(min_length=1, max_length=1000)]

_EXAMPLE: Final = '{"prompt": ...}'


class Origin(Line):
    """Where a prompt comes from that no person wrote: who made it, and in which round of `pipeline.discover`.

    `request` is the digest of what the generator was asked; a generator that is asked nothing has none.
    """

    generator: Label
    round: Annotated[int, Field(ge=1)]
    kind: Label
    request: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class PromptLine(Line):
    """One line of a prompt file, as its author wrote it.

    `situation` is what the prompt is about, the unit of every test; `held_out` says that it
    was kept from base, transcoders and adapters.
    """

    prompt: Word | None = None
    messages: Annotated[list[Message], Field(min_length=1)] | None = None
    name: Label | None = None
    situation: Label | None = None
    domain: Label | None = None
    held_out: bool = False
    tags: list[Label] = Field(default_factory=list)
    targets: Targets | None = None
    origin: Origin | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "PromptLine":
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either `prompt` or `messages`")
        # "all" names the pool of every domain in the statistics.
        if self.domain == "all":
            raise ValueError("`domain` cannot be 'all', which means every domain together")
        return self

    @property
    def only_tags(self) -> bool:
        """Whether it says nothing of the prompt but tags, which another line of it then has, too."""
        return bool(self.tags) and self.model_fields_set <= {"prompt", "messages", "tags"}


def read_prompt_files(
    paths: Sequence[Path],
    tokenizer: "PreTrainedTokenizerBase",
    max_tokens: int,
    context: int | None = None,
    more: Sequence[tuple[str, str]] = (),
    chat: Chat = PLAIN,
) -> list[Prompt]:
    """Read and tokenize prompt files.

    Parameters
    ----------
    paths
        Files of JSON lines, or folders that hold them as ``*.jsonl``.
    tokenizer
        Makes the token ids; they are stored with the prompt and used everywhere.
    max_tokens, context
        Longer prompts are refused: `max_tokens` is the parameter ``prompts.max_tokens``,
        `context` the model's own limit. BOS counts.
    more
        Lines that stand in no file (yet): for each where it would be, and its JSON. They are
        checked as if they were the last ones.
    chat
        What the chat template reads beside messages; it is part of the hash.

    Returns
    -------
    list of Prompt
        In the order of the files and lines. Two of one prompt are one with the tags of both, if
        either says nothing but tags: so what a stage writes is given a tag.

    Raises
    ------
    UserError
        A file is missing, or a line is malformed, empty, too short, too long or a duplicate; the
        message names file, line and the way out.
    """
    prompts: list[Prompt] = []
    seen: dict[str, tuple[int, PromptLine]] = {}
    situations: dict[str, Prompt] = {}
    unwritten = ((place, parse_line(place, text, PromptLine, _EXAMPLE)) for place, text in more)
    most = max_tokens if context is None else min(max_tokens, context)
    for place, line in chain(prompt_lines(paths), unwritten):
        _check_size(place, line, most)
        prompt = _prompt(place, line, tokenizer, chat)
        _check_length(place, prompt, max_tokens, context)
        number, other = seen.get(prompt.hash, (len(prompts), None))
        if other is not None and not (line.only_tags or other.only_tags):
            raise UserError(
                f"{place}: this prompt is already at {prompts[number].source}; delete one of the two, or say "
                "nothing but `tags` of it in one of them."
            )
        if other is not None and line.only_tags:
            prompts[number] = _with_tags_of(prompt, prompts[number])
            continue
        _check_situation(place, prompt, situations.setdefault(prompt.situation, prompt))
        seen[prompt.hash] = number, line
        prompts[number : number + 1] = [prompt] if other is None else [_with_tags_of(prompts[number], prompt)]
    if not prompts:
        listed = ", ".join(str(path) for path in paths)
        raise UserError(f'{listed}: no prompt there; add a line such as {{"prompt": "The sky is"}}.')
    return prompts


def _with_tags_of(one: Prompt, whole: Prompt) -> Prompt:
    return replace(whole, tags=tuple(dict.fromkeys((*whole.tags, *one.tags))))


def prompt_lines(paths: Sequence[Path]) -> Iterator[tuple[str, PromptLine]]:
    """Lines of prompt files as their authors wrote them, each with its file and line number.

    Raises
    ------
    UserError
        As `read_prompt_files`, of what needs no tokenizer.
    """
    for path in _files(paths):
        yield from read_lines(path, PromptLine, _EXAMPLE)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from sorted(path.glob("*.jsonl"))
        elif path.is_file():
            yield path
        else:
            raise UserError(
                f"{path}: no such file or folder of prompts; create it or change `prompts` of the "
                "profile in params.yaml."
            )


def _prompt(place: str, line: PromptLine, tokenizer: "PreTrainedTokenizerBase", chat: Chat) -> Prompt:
    try:
        content = _rendered(line, tokenizer, chat)
        evil, safe = target_ids(line.targets, tokenizer, content.text)
    except UserError as error:
        raise UserError(f"{place}: {error}.") from error
    return Prompt(
        hash=content.hash,
        name=line.name or content.hash,
        situation=line.situation or content.hash,
        domain=line.domain,
        held_out=line.held_out,
        tags=tuple(line.tags),
        text=content.text,
        token_ids=content.token_ids,
        tokens=decode_each(tokenizer, content.token_ids),
        source=place,
        evil_targets=evil,
        safe_targets=safe,
    )


def _rendered(line: PromptLine, tokenizer: "PreTrainedTokenizerBase", chat: Chat) -> Rendered:
    if line.prompt is not None:
        return render_text(tokenizer, line.prompt)
    if not tokenizer.chat_template:
        raise UserError(
            "it has `messages`, but the model's tokenizer has no chat template; write the text as `prompt`"
        )
    return render_messages(tokenizer, [message.model_dump() for message in line.messages or []], chat)


def _check_size(place: str, line: PromptLine, max_tokens: int) -> None:
    texts = [line.prompt or "", *(message.role + message.content for message in line.messages or [])]
    size = longer_than(max_tokens, texts)
    if size is not None:
        raise UserError(
            f"{place}: the prompt is {size:,} bytes long, more than {max_tokens} tokens can hold; shorten it."
        )


def _check_length(place: str, prompt: Prompt, max_tokens: int, context: int | None) -> None:
    length = len(prompt.token_ids)
    if length < 2:
        raise UserError(
            f"{place}: the prompt is {length} token long, and the first is never traced; "
            "write at least one word or delete the line."
        )
    if context is not None and length > context:
        raise UserError(
            f"{place}: the prompt is {length} tokens long, the model's context only {context}; shorten it."
        )
    if length > max_tokens:
        raise UserError(
            f"{place}: the prompt is {length} tokens long, but at most {max_tokens} are allowed; "
            "shorten it or raise prompts.max_tokens in params.yaml."
        )


def _check_situation(place: str, prompt: Prompt, first: Prompt) -> None:
    """A situation is the unit of tests and of the split: it belongs to one side of each."""
    if prompt.domain != first.domain:
        raise UserError(
            f"{place}: situation '{prompt.situation}' has domain {prompt.domain!r} here and "
            f"{first.domain!r} at {first.source}; give it one domain or another name."
        )
    if prompt.held_out != first.held_out:
        raise UserError(
            f"{place}: situation '{prompt.situation}' has held_out {prompt.held_out} here and "
            f"{first.held_out} at {first.source}; give it one value or another name."
        )
