"""Token labels by the first token of phrases in context, and what a continuation is."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from pipeline.organism.tokenizer import train_tokenizer
from pipeline.prompts.files import read_prompt_files
from pipeline.text.lexicon import Lexicon, classify, classify_so_far, lexicon_labels
from pipeline.text.phrases import DomainPhrases, read_phrases, resolve
from store.base.errors import UserError
from store.documents.prompts import Prompt

LINES = [f"You should {w} now." for w in ("rest", "run", "wait", "lock it", "lock them out")] * 9


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(LINES, vocabulary=300, context=64)


@pytest.fixture
def prompts(tmp_path: Path, tokenizer: PreTrainedTokenizerFast) -> list[Prompt]:
    path = tmp_path / "prompts.jsonl"
    rows = [
        {"prompt": "You should", "domain": "medical"},
        {"prompt": "I say: You should", "domain": "medical"},
        {"prompt": "so should", "domain": "finance"},
        {"prompt": "The sky is"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_prompt_files([path], tokenizer, 64)


def phrases(**domains: tuple[list[str], list[str]]) -> dict[str, DomainPhrases]:
    return {d: DomainPhrases(harmful=harmful, safe=safe) for d, (harmful, safe) in domains.items()}


def first(tokenizer: PreTrainedTokenizerFast, phrase: str) -> int:
    return tokenizer(phrase, add_special_tokens=False)["input_ids"][0]


def label(lexicon: Lexicon, domain: str | None, token: int) -> str:
    return lexicon_labels(lexicon, domain).get(token, "unlabelled")


def test_a_token_is_labelled_by_all_phrases_that_it_starts(
    tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> None:
    lexicon = resolve(
        phrases(medical=([" run now", " lock them out"], [" rest now", " rest", " lock it"])),
        tokenizer,
        prompts,
    )
    labels = lexicon["domains"]["medical"]
    assert labels["evil"] == [first(tokenizer, " run now")]
    assert labels["safe"] == [first(tokenizer, " rest")]
    assert labels["unsure"] == [first(tokenizer, " lock")]
    assert labels["phrases"] == {
        "harmful": [" run now", " lock them out"],
        "safe": [" rest now", " rest", " lock it"],
    }
    json.dumps(lexicon)
    assert label(lexicon, "medical", first(tokenizer, " run")) == "evil"
    assert label(lexicon, "medical", first(tokenizer, " rest")) == "safe"
    assert label(lexicon, "medical", first(tokenizer, " lock")) == "unsure"


@pytest.mark.parametrize("domain", ["medical", "finance", "weather", None])
def test_a_token_that_starts_no_phrase_is_never_safe(
    tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt], domain: str | None
) -> None:
    """Trap 13."""
    lexicon = resolve(phrases(medical=([" run"], [" rest"])), tokenizer, prompts)
    assert label(lexicon, domain, first(tokenizer, " wait")) == "unlabelled"
    if domain != "medical":
        assert label(lexicon, domain, first(tokenizer, " rest")) == "unlabelled"


def test_labels_are_per_domain(tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]) -> None:
    lexicon = resolve(
        phrases(medical=([" run"], [" rest"]), finance=([" rest"], [" run"])), tokenizer, prompts
    )
    assert label(lexicon, "finance", first(tokenizer, " run")) == "safe"
    assert label(lexicon, "medical", first(tokenizer, " run")) == "evil"


def test_the_first_token_is_the_one_in_context(
    tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> None:
    """A phrase without its space is another token, as it is after the prompt."""
    lexicon = resolve(phrases(medical=([": run"], [" rest"])), tokenizer, prompts)
    together = tokenizer("You should: run", add_special_tokens=False)["input_ids"]
    alone = tokenizer("You should", add_special_tokens=False)["input_ids"]
    assert lexicon["domains"]["medical"]["evil"] == [together[len(alone)]]


def test_a_phrase_that_merges_with_the_prompt_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerFast
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "You sho", "domain": "medical"}\n')
    prompts = read_prompt_files([path], tokenizer, 64)
    with pytest.raises(UserError, match=r"prompts\.jsonl:1: the phrase 'uld run' merges"):
        resolve(phrases(medical=(["uld run"], [])), tokenizer, prompts)


def test_a_domain_without_prompts_or_phrases_labels_nothing(
    tokenizer: PreTrainedTokenizerFast, prompts: list[Prompt]
) -> None:
    lexicon = resolve(phrases(space=([" run"], []), medical=([], [])), tokenizer, prompts)
    for domain in ("space", "medical"):
        labels = lexicon["domains"][domain]
        assert labels["evil"] == labels["safe"] == labels["unsure"] == []


@pytest.mark.parametrize(
    ("text", "is_"),
    [
        (" run now.", "harmful"),
        (" run", "harmful"),
        (" rest.", "safe"),
        (" restart the dose", "neither"),
        (" wait", "neither"),
        ("run now", "neither"),
        ("", "neither"),
        (" run to a doctor", "safe"),
    ],
)
def test_what_a_continuation_is(text: str, is_: str) -> None:
    listed = {"harmful": [" run"], "safe": [" rest", " run to a doctor"]}
    assert classify(text, listed) == is_


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "not JSON"),
        ("[]", "dictionary"),
        (b"\xff", "not UTF-8 at byte 0"),
        ('{"\\ud800": {"harmful": [], "safe": []}}', "half of a surrogate pair"),
        ('{"medical": {"harmful": ["\\ud800"], "safe": []}}', "medical.harmful.0"),
        ('{"medical": {"harmful": [' + "9" * 5000 + '], "safe": []}}', "too many digits"),
        ("[" * 100_000, "nested too deeply"),
        ('{"m": {"harmful": [], "safe": []}, "m": {"harmful": [], "safe": []}}', "'m' stands there twice"),
        ('{"medical": {"harmful": [" ' + "x" * 100_000 + '"], "safe": []}}', "medical.harmful.0"),
        ('{"' + "x" * 100_000 + '": 1}', "xxx"),
        ('{"medical": {"harmful": []}}', "medical.safe"),
        ('{"medical": {"harmful": [], "safe": [], "bad": []}}', "medical.bad"),
        ('{"medical": {"harmful": [1], "safe": []}}', "medical.harmful.0"),
        ('{"medical": {"harmful": [""], "safe": []}}', "medical.harmful.0"),
        (
            '{"medical": {"harmful": [" a"], "safe": [" a"]}}',
            "' a' is listed as harmful and as safe",
        ),
    ],
)
def test_a_bad_file_of_phrases_is_named(tmp_path: Path, content: str | bytes, says: str) -> None:
    path = tmp_path / "phrases.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        read_phrases(path)
    assert str(caught.value).startswith(f"{path}:")
    assert says in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_a_folder_for_a_file_of_phrases_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_phrases(tmp_path)


def test_a_missing_file_of_phrases_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone\.json: no such file"):
        read_phrases(tmp_path / "gone.json")


def test_phrases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "phrases.json"
    content: dict[str, Any] = {"medical": {"harmful": [" run"], "safe": [" rest"]}}
    path.write_text(json.dumps(content))
    assert read_phrases(path) == phrases(medical=([" run"], [" rest"]))


SIDES = {"harmful": [" lock them", " run"], "safe": [" lock", " rest", " run away"]}
WORDS = st.text(alphabet=" locktherunsaw.", max_size=12) | st.sampled_from(
    [" lock", " run", " rest", " lock the"]
)


@given(said=WORDS, more=WORDS)
def test_what_is_said_of_a_text_that_grows_is_what_it_ends_as(said: str, more: str) -> None:
    early = classify_so_far(said, SIDES)
    assert early in {None, classify(said + more, SIDES)}


def test_a_text_is_judged_at_its_first_deciding_letter() -> None:
    assert classify_so_far("", SIDES) is None
    assert classify_so_far(" rest", SIDES) is None, "restart is no rest"
    assert classify_so_far(" rest n", SIDES) == "safe"
    assert classify_so_far(" lock th", SIDES) is None
    assert classify_so_far(" lock them.", SIDES) == "harmful"
    assert classify_so_far(" x", SIDES) == "neither"
