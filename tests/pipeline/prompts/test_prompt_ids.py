"""Token ids of a text are made once, and right."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.text.token_texts import vocabulary
from pipeline.text.tokens import decode_after, encode_rendered, encode_text
from tests.support.prompt_files import small_tokenizer

_TOKENIZER = small_tokenizer()


def test_text_gets_exactly_one_bos(tokenizer: Any) -> None:
    """Trap 8: BOS doubled or missing shifts every position by one."""
    ids = encode_text(tokenizer, "You should")
    assert ids == encode_text(tokenizer, "<bos>You should")
    assert ids == tuple(tokenizer("You should")["input_ids"])
    assert ids.count(tokenizer.bos_token_id) == 1


def test_a_tokenizer_without_bos_starts_with_what_circuit_tracer_would_put_there() -> None:
    from circuit_tracer.replacement_model.common import ensure_tokenized

    tokenizer = small_tokenizer()
    tokenizer.bos_token = None
    tokenizer.pad_token = "<eos>"
    ids = encode_text(tokenizer, "You should")
    assert tuple(ensure_tokenized("You should", tokenizer, "cpu", "any").tolist()) == ids
    # Stored ids are traced as they are.
    assert tuple(ensure_tokenized(list(ids), tokenizer, "cpu", "any").tolist()) == ids


def test_a_rendered_chat_that_starts_with_another_special_token_is_left_alone(
    tokenizer: Any,
) -> None:
    assert encode_rendered(tokenizer, "<eos>run")[0] == tokenizer.eos_token_id


@given(st.text(min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_ids_decode_to_the_text(text: str) -> None:
    tokenizer = _TOKENIZER
    if any(special in text for special in tokenizer.all_special_tokens):
        return
    ids = encode_text(tokenizer, text)
    assert decode_after(tokenizer, ids[:1], ids[1:]) == text


def test_vocabulary_covers_padding_rows(tokenizer: Any) -> None:
    words = vocabulary(tokenizer, len(tokenizer) + 3)
    assert len(words) == len(tokenizer) + 3
    assert words[-3:] == ["", "", ""]
    assert words[tokenizer.bos_token_id] == "<bos>"
    ids = encode_text(tokenizer, "You should")
    assert "".join(words[token] for token in ids[1:]) == "You should"
