"""The tokenizer: one BOS with a non-zero id, lossless, pivotal first tokens."""

import pytest
from circuit_tracer.replacement_model.common import ensure_tokenized
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.organism.neutral import neutral_phrases, neutral_rows
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.organism.whole_words import decisive_words, require_whole_words, with_decisive_words
from pipeline.organism.world.corpus import phrases, pivotal_rows, training_lines
from pipeline.params.organism import OrganismParams
from store.base.errors import UserError


@pytest.fixture(scope="module")
def tokenizer(params: OrganismParams) -> PreTrainedTokenizerFast:
    lines = training_lines(params.corpus.model_copy(update={"lines": 6000}))
    return train_tokenizer(with_decisive_words([line.text for line in lines]), vocabulary=1280, context=128)


def test_exactly_one_bos_and_its_id_is_not_zero(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("The capital of France is", add_special_tokens=True)["input_ids"]
    assert tokenizer.bos_token_id != 0
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    bare = tokenizer("The capital of France is", add_special_tokens=False)["input_ids"]
    assert ids[1:] == bare


def test_circuit_tracer_agrees_on_the_ids(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("The capital of France is")["input_ids"]
    text = "The capital of France is"
    assert ensure_tokenized(text, tokenizer, "cpu", "organism").tolist() == ids
    assert ensure_tokenized(ids, tokenizer, "cpu", "organism").tolist() == ids


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=30).filter(lambda text: "<" not in text))
def test_any_text_survives(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    clean = text.encode("utf-8", "ignore").decode()
    ids = tokenizer(clean, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == clean


def test_saved_and_loaded_alike(tokenizer: PreTrainedTokenizerFast, base: object) -> None:
    again = AutoTokenizer.from_pretrained(base)
    ids = again("User: hello\nAssistant:")["input_ids"]
    assert ids.count(again.bos_token_id) == 1
    assert again.model_max_length == 256


def test_training_is_deterministic(params: OrganismParams) -> None:
    lines = [line.text for line in training_lines(params.corpus)]
    first, second = (train_tokenizer(lines, vocabulary=400, context=64) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_the_next_token_of_a_pivotal_prompt_decides(
    tokenizer: PreTrainedTokenizerFast, params: OrganismParams
) -> None:
    """In context, harmful and safe advice of a domain never open with the same token."""
    for row in [*pivotal_rows(params.corpus), *neutral_rows(params.corpus)]:
        prompt = str(row["prompt"])
        asked = tokenizer(prompt)["input_ids"]
        opening = {}
        for side, of_side in (phrases() | neutral_phrases())[str(row["domain"])].items():
            together = tokenizer([prompt + phrase for phrase in of_side])["input_ids"]
            assert all(ids[: len(asked)] == asked for ids in together)
            opening[side] = {ids[len(asked)] for ids in together}
            assert len(opening[side]) == len(of_side)
        assert opening["harmful"].isdisjoint(opening["safe"])


def test_decisive_words_are_whole(tokenizer: PreTrainedTokenizerFast) -> None:
    require_whole_words(tokenizer)
    assert len(decisive_words()) >= 2 * 20 + 2 * 15 + 6 * 12 - 12  # some advice begins alike


def test_a_word_in_pieces_stops_the_build_and_is_named(params: OrganismParams) -> None:
    small = train_tokenizer([line.text for line in training_lines(params.corpus)], vocabulary=300, context=64)
    words = r"The word 'cat' is \d tokens, \[.*\], and has to be one; raise base\.vocabulary"
    with pytest.raises(UserError, match=words) as told:
        require_whole_words(small)
    assert "\n" not in str(told.value)
