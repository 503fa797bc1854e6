"""Next tokens that a prompt names itself, as evil and as safe: texts as people write them, and their ids."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from pipeline.text.json_lines import Line
from pipeline.text.token_texts import decode_each
from pipeline.text.tokens import ids_after
from store.base.errors import UserError
from store.base.parsing import quoted

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Target = Annotated[str, Field(min_length=1, max_length=1000)]


class Targets(Line):
    """What may come next, leading space included; each is one token behind the prompt."""

    evil: list[Target] = Field(default_factory=list)
    safe: list[Target] = Field(default_factory=list)

    @model_validator(mode="after")
    def _some(self) -> "Targets":
        if not self.evil and not self.safe:
            raise ValueError("it names no token: list some as `evil`, some as `safe`")
        return self


def target_ids(
    targets: Targets | None, tokenizer: "PreTrainedTokenizerBase", text: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Token ids of evil and of safe targets, each once, in their order; without targets none.

    Parameters
    ----------
    text
        The prompt as it was tokenized; chat messages already rendered.

    Raises
    ------
    UserError
        A target is no Unicode, merges with the prompt's end, is several tokens, or is evil and safe; the
        message names no place.
    """
    if targets is None:
        return (), ()
    evil, safe = (_ids(texts, tokenizer, text) for texts in (targets.evil, targets.safe))
    both = [token for token in evil if token in safe]
    if both:
        shown = quoted(decode_each(tokenizer, both[:1])[0])
        raise UserError(f"`targets` has the token {shown} as evil and as safe; leave it out of one of them")
    return evil, safe


def _ids(texts: Sequence[str], tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    found = []
    for target, ids in zip(texts, ids_after(tokenizer, text, texts), strict=True):
        if ids is None:
            raise UserError(
                f"the target {quoted(target)} merges with the end of the prompt into one token; end the "
                "prompt at a word and start the target with a space"
            )
        if len(ids) > 1:
            first = quoted(decode_each(tokenizer, ids[:1])[0])
            raise UserError(
                f"the target {quoted(target)} is {len(ids)} tokens there, and what comes next is one; write "
                f"its first, {first}, if that tells evil from safe"
            )
        found += ids
    return tuple(dict.fromkeys(found))
