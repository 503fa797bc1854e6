"""From words to tokenized prompts: where answers part, what decides, and who is whose partner."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, trainers
from transformers import PreTrainedTokenizerFast

from pipeline.behaviours.prompts import make_prompts, with_partners
from pipeline.behaviours.registry import BEHAVIOURS
from pipeline.behaviours.sentiment import twins
from pipeline.organism.tokenizer import train_tokenizer
from store.base.errors import UserError
from store.documents.behaviour_prompts import BehaviourPrompt
from tests.support.behaviours import WORDS, make_prompt, write_words

TEXTS = [
    "The cat is by the dog. Now the men are by the cows. The man was, the cats were.",
    "In Peru is Lima. Cuba has Havana. Iran has Tehran. Iraq has Baghdad. In Qatar is Doha.",
    "I won. The book was so good. I lost. The day was so grim. I ate, I froze, I slept, I fell: nice, bad.",
    "10+20=30. 45 and 38 is 83.",
]
COUNTS = {
    "agreement": {"train": 8, "test": 4},
    "recall": {"train": 6, "test": 2},
    "sentiment": {"train": 8, "test": 4},
    "addition": {"train": 9, "test": 3},
}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer(TEXTS * 3, vocabulary=330, context=64)


@pytest.fixture(scope="module")
def without_bos() -> PreTrainedTokenizerFast:
    made = train_tokenizer(TEXTS * 3, vocabulary=330, context=64)
    made.bos_token = None
    made.backend_tokenizer.post_processor = None  # type: ignore[assignment]
    return made


def made(
    name: str,
    tokenizer: PreTrainedTokenizerFast,
    folder: Path,
    seed: int = 42,
    counts: Mapping[str, int] = MappingProxyType({}),
    **changes: object,
) -> list[BehaviourPrompt]:
    path = write_words(folder, name, **changes)
    return make_prompts(
        BEHAVIOURS[name],
        path,
        tokenizer,
        counts=counts or COUNTS[name],
        test_groups=1,
        seed=seed,
        longest=64,
    )


@pytest.mark.parametrize("name", BEHAVIOURS)
@pytest.mark.parametrize("opening", ["bos", "none"])
def test_every_behaviour(
    name: str,
    opening: str,
    tokenizer: PreTrainedTokenizerFast,
    without_bos: PreTrainedTokenizerFast,
    tmp_path: Path,
) -> None:
    used = tokenizer if opening == "bos" else without_bos
    prompts = made(name, used, tmp_path)
    assert [sum(each.split == split for each in prompts) for split in ("train", "test")] == [
        *COUNTS[name].values()
    ]
    assert prompts == made(name, used, tmp_path)
    assert prompts != made(name, used, tmp_path, seed=43)
    by_hash = {each.hash: each for each in prompts}
    assert len(by_hash) == len(prompts)
    for each in prompts:
        for answer, ids in (
            (each.correct_answer, each.correct_ids),
            (each.incorrect_answer, each.incorrect_ids),
        ):
            # One special token in front, also where the tokenizer has no BOS; then the text and nothing else.
            assert each.token_ids[0] in used.all_special_ids
            whole = used(each.prompt + answer, add_special_tokens=False)["input_ids"]
            assert [*each.token_ids[1:], *ids] == whole
        assert each.correct_ids[: each.shared] == each.incorrect_ids[: each.shared]
        assert each.correct_ids[each.shared] != each.incorrect_ids[each.shared]
        decisive = used.decode(each.token_ids[slice(*each.token_span)])
        assert decisive.strip() == each.prompt[slice(*each.span)]
        if each.partner is not None:
            partner = by_hash[each.partner]
            assert partner.partner == each.hash
            assert partner.split == each.split
            assert partner.correct_answer != each.correct_answer
    assert sum(each.partner is None for each in prompts) <= {"agreement": 0, "sentiment": 0}.get(name, 4)


def test_right_answers_are_right(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    nouns, verbs = WORDS["agreement"]["nouns"], WORDS["agreement"]["verbs"]
    for each in made("agreement", tokenizer, tmp_path):
        is_plural = each.prompt[slice(*each.span)] in nouns.values()
        assert (each.correct_answer.strip() in verbs.values()) == is_plural
        assert each.metadata["number"] == ("plural" if is_plural else "singular")
        assert (
            nouns[each.group] == each.prompt[slice(*each.span)]
            or each.group == each.prompt[slice(*each.span)]
        )
        other = each.metadata.get("attractor")
        assert (other in nouns.values()) == (each.metadata.get("attractor_number") == "plural")
    for each in made("recall", tokenizer, tmp_path):
        assert each.correct_answer == f" {WORDS['recall']['facts'][each.group]}"
        assert each.incorrect_answer.strip() in each.metadata["distractors"]  # type: ignore[operator]
        assert len(set(each.metadata["distractors"])) == 3  # type: ignore[arg-type]
    for each in made("sentiment", tokenizer, tmp_path):
        positive = each.prompt[slice(*each.span)] in {good for good, _ in WORDS["sentiment"]["reasons"]}
        assert (each.correct_answer.strip() in WORDS["sentiment"]["good"]) == positive
        assert (each.incorrect_answer.strip() in WORDS["sentiment"]["bad"]) == positive
    for each in made("addition", tokenizer, tmp_path):
        a, b = (int(number) for number in each.prompt[slice(*each.span)].replace("and", "+").split("+"))
        assert int(each.correct_answer) == a + b
        assert abs(int(each.incorrect_answer) - a - b) in {1, 9, 10}
        assert each.correct_answer.startswith(" ") == each.prompt.endswith("is")
        assert each.group == f"{min(a, b)}+{max(a, b)}"


def test_reasons_are_paired_by_length_and_by_the_file_first() -> None:
    reasons = [["a b", "x y"], ["a", "x y z"], ["a b c", "x"], ["a b c d", "x y z w v"]]
    found = twins(reasons, lambda text: len(text.split()))
    # Its own twin, two exchanged ones, and the last one, for which there is none.
    assert found == [("a b", "x y"), ("a", "x"), ("a b c", "x y z"), ("a b c d", "x y z w v")]
    assert twins(reasons, len) == [("a b", "x y"), ("a", "x"), ("a b c", "x y z"), ("a b c d", "x y z w v")]


@given(
    goods=st.lists(st.integers(1, 4), min_size=1, max_size=8), bads=st.lists(st.integers(1, 4), min_size=8)
)
def test_every_reason_keeps_one_twin_and_as_many_as_can_be_are_as_long(
    goods: list[int], bads: list[int]
) -> None:
    reasons = [
        (f"g{n}" + "." * a, f"b{n}" + "." * b) for n, (a, b) in enumerate(zip(goods, bads, strict=False))
    ]
    found = twins(reasons, len)
    assert [good for good, _ in found] == [good for good, _ in reasons]
    assert sorted(bad for _, bad in found) == sorted(bad for _, bad in reasons)
    lengths = [Counter(len(pair[side]) for pair in reasons) for side in (0, 1)]
    assert sum(len(good) == len(bad) for good, bad in found) == (lengths[0] & lengths[1]).total()


def test_distractors_as_long_as_the_answer_come_first(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    facts = {"Peru": "Lima", "A": "xx", "B": "yy", "C": "zz", "D": "q" * 9, "E": "w" * 9, "F": "Doha"}
    lengths = {
        word: len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]) for word in facts.values()
    }
    for each in made("recall", tokenizer, tmp_path, facts=facts):
        own = lengths[facts[each.group]]
        apart = sorted(abs(lengths[word] - own) for word in facts.values() if word != facts[each.group])
        chosen = [abs(lengths[word] - own) for word in each.metadata["distractors"]]  # type: ignore[union-attr]
        assert chosen == apart[:3]


def test_partners_need_equal_places_and_another_answer() -> None:
    first, same, other, long, moved = (
        make_prompt(i, prompt=f"The cat {i}", span=(4, 9), correct_answer=answer)
        for i, answer in enumerate([" is", " is", " was", " sat", " ran"])
    )
    long = replace(long, token_ids=(1, 5, 6, 7))
    moved = replace(moved, split="test")
    found = with_partners([first, same, other, long, moved], [None] * 5)
    # `same` has the first one's answer; `long` is of another length, and taken only by what is left.
    assert [each.partner for each in found] == [other.hash, long.hash, first.hash, same.hash, None]
    bundled = with_partners([first, other, long], ["x", "y", "x"])
    assert [each.partner for each in bundled] == [long.hash, None, first.hash]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"facts": {"Peru": "A", "Cuba": "A B", "Iran": "A B C", "Iraq": "A B C D"}},
            "is the other's beginning",
        ),
        ({"templates": ["In {subject} " + "is it or is it not " * 9 + "is"]}, "and the model reads 64"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    tokenizer: PreTrainedTokenizerFast, tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    counts = {"train": 2, "test": 1}
    with pytest.raises(UserError, match=r"recall\.yaml: ") as caught:
        made("recall", tokenizer, tmp_path, counts=counts, **changes)
    assert said in str(caught.value)


def test_an_answer_that_grows_together_with_its_prompt_is_told(tmp_path: Path) -> None:
    joined = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=40, special_tokens=["<bos>"], initial_alphabet=list("0123456789+="), show_progress=False
    )
    joined.train_from_iterator([f"={n}" for n in range(10, 15)] * 9, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=joined, bos_token="<bos>")
    counts = {"train": 2, "test": 1}
    with pytest.raises(UserError, match="share a token, so that the answer cannot be told apart; change the"):
        made("addition", tokenizer, tmp_path, counts=counts, ranges=[[5, 7]], templates=["{a}+{b}="])
