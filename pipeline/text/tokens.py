"""Text to token ids and back: the only place where either happens."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from store.base.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def encode_text(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    """Token ids of a text with exactly one BOS in front, where the tokenizer has one.

    A tokenizer without BOS (Qwen's, say) gets the special token that circuit-tracer would
    put in front of such ids: what stands at position 0 is not traced, so it must not be a
    word of the prompt, and the stored ids must be the ones that are traced.

    Raises
    ------
    UserError
        The text starts with more than one BOS, or is no Unicode.
    """
    return _opened(tokenizer, _encode(tokenizer, text), bos_required=True)


def encode_rendered(tokenizer: "PreTrainedTokenizerBase", text: str) -> tuple[int, ...]:
    """Token ids of a rendered chat: its template has put the special tokens in already.

    Only where the rendered chat starts with an ordinary token is one put in front, as
    `encode_text` does.
    """
    return _opened(tokenizer, _encode(tokenizer, text), bos_required=False)


def encode_rendered_with_places(
    tokenizer: "PreTrainedTokenizerBase", text: str
) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The ids of `encode_rendered`, and where in the text each stands: first character, and behind the last.

    A token that is put in front, and one of a piece of a character, may stand nowhere: (n, n).

    Raises
    ------
    UserError
        As `encode_text`; or the tokenizer is one of those in Python, which do not say where.
    """
    if not tokenizer.is_fast:
        raise UserError("the model's tokenizer has no tokenizer.json, so places of tokens are not known")
    ids = encode_rendered(tokenizer, text)
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    places = [(int(start), int(end)) for start, end in found["offset_mapping"]]
    if len(ids) > len(places):
        places.insert(0, (0, 0))
    return ids, tuple(places)


def encode_answer(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Token ids of what follows a prompt; what looks like a special token is text like any other.

    Raises
    ------
    UserError
        It is no Unicode.
    """
    return _encode(tokenizer, text, split_special_tokens=True)


def ids_after(
    tokenizer: "PreTrainedTokenizerBase", text: str, endings: Sequence[str]
) -> list[list[int] | None]:
    """Token ids of texts as they stand behind another; None where the two merge into one token.

    Parameters
    ----------
    text
        As it was tokenized; chat messages already rendered.
    endings
        Each is put behind it by itself.

    Raises
    ------
    UserError
        One is no Unicode.
    """
    # A BOS that was put in front of the stored ids need not be in the text that is tokenized here.
    alone = _encode(tokenizer, text)
    texts = [_unicode(text + ending) for ending in endings]
    together = tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []
    return [
        list(ids[len(alone) :]) if len(ids) > len(alone) and ids[: len(alone)] == alone else None
        for ids in together
    ]


def decode_after(tokenizer: "PreTrainedTokenizerBase", prompt_ids: Sequence[int], ids: Sequence[int]) -> str:
    """The text that `ids` add after `prompt_ids`; special tokens are left out.

    Decoded together and cut, because some tokenizers drop the space in front of the first
    word that they decode.
    """

    def decode(tokens: Sequence[int]) -> str:
        return tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    before = decode(prompt_ids)
    whole = decode([*prompt_ids, *ids])
    # A character split between prompt and continuation changes the prompt's last character.
    return whole[len(before) :] if whole.startswith(before) else decode(ids)


def stop_ids(tokenizer: "PreTrainedTokenizerBase", model: "PreTrainedModel | None" = None) -> list[int]:
    """Tokens that end a text, as the tokenizer and the model's generation settings say."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    stops = {
        tokenizer.eos_token_id,
        *(configured if isinstance(configured, list) else [configured]),
    }
    return sorted(stop for stop in stops if stop is not None)


def _encode(tokenizer: "PreTrainedTokenizerBase", text: str, **options: bool) -> list[int]:
    return list(tokenizer(_unicode(text), add_special_tokens=False, **options)["input_ids"])


def _unicode(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError("it holds half of a surrogate pair; write the whole character") from error
    return text


def _opened(tokenizer: "PreTrainedTokenizerBase", ids: list[int], *, bos_required: bool) -> tuple[int, ...]:
    special = set(tokenizer.all_special_ids)
    bos = tokenizer.bos_token_id
    if bos is not None and ids[:2] == [bos, bos]:
        raise UserError("it starts with more than one BOS token; leave them out, one is put in front")
    opened = ids[:1] == [bos] if bos is not None and bos_required else bool(ids) and ids[0] in special
    if opened:
        return tuple(ids)
    opening = next(
        (
            token
            for token in (bos, tokenizer.pad_token_id, tokenizer.eos_token_id, *sorted(special))
            if token is not None
        ),
        None,
    )
    return tuple(ids) if opening is None else (opening, *ids)
