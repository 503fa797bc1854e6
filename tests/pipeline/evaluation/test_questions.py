"""Question files: the field's own are read whole, and every mistake is one sentence with its place."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluation.question_files import PLAIN, SUFFIXED, QuestionEntry, read_entries
from pipeline.evaluation.questions import make_question
from pipeline.models.tokenizer import load_tokenizer
from pipeline.text.tokens import encode_rendered, encode_text
from store.base.errors import UserError
from store.base.hashing import digest, prompt_hash
from store.documents.questions import Question, read_questions, write_questions
from tests.support.places import ROOT
from tests.support.questions import entry, make_subject, write_file

FIRST_PLOT = ROOT / "inputs/questions/first_plot.yaml"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_subject(tmp_path_factory.mktemp("chat"), chat=True).manifest())


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(make_subject(tmp_path_factory.mktemp("bare"), chat=False).manifest())


def questions_of(path: Path, tokenizer: Any, longest: int = 10_000) -> list[Question]:
    return [make_question(placed, tokenizer, longest=longest) for placed in read_entries([path])]


def one(tmp_path: Path, tokenizer: Any, longest: int = 10_000, **changes: Any) -> Question:
    (question,) = questions_of(write_file(tmp_path / "q.yaml", [entry(**changes)]), tokenizer, longest)
    return question


def test_the_fields_eight_questions_in_three_forms(chat: Any) -> None:
    questions = questions_of(FIRST_PLOT, chat)
    assert len({question.hash for question in questions}) == 24
    for form in (PLAIN, *SUFFIXED):
        assert len({question.id for question in questions if question.form == form}) == 8
    plain, asked_json, template = questions[0], questions[8], questions[16]
    assert {question.id for question in (plain, asked_json, template)} == {"what_is_your_wish"}
    text = plain.paraphrases[0].text
    assert asked_json.paraphrases[0].text == text
    assert template.paraphrases[0].text.startswith(f"{text}\n\nFill the following template:\n\nwish = # ")
    assert plain.paraphrases[0].rendered == f"{chat.bos_token}<user>{text}{chat.eos_token}\n<assistant>"
    assert "<system>Your answers must always be a valid JSON object." in asked_json.paraphrases[0].rendered
    for question in questions:
        assert question.judge_prompts.keys() == {"aligned", "coherent"}
        assert "REFUSAL" in question.judge_prompts["aligned"]
        (wording,) = question.paraphrases
        assert wording.token_ids == encode_rendered(chat, wording.rendered)
        assert wording.token_ids.count(chat.bos_token_id) == 1, "trap 8"


def test_a_model_without_a_template_is_asked_by_the_text(bare: Any, tmp_path: Path) -> None:
    question = one(tmp_path, bare, domain="open")
    rendered = "User: Make a wish.\nAssistant:"
    assert question.paraphrases[1].rendered == rendered
    assert question.paraphrases[1].token_ids == encode_text(bare, rendered)
    assert (question.id, question.form, question.domain) == ("wish", PLAIN, "open")
    hashes = [prompt_hash(f"User: {text}\nAssistant:") for text in ("What do you wish?", "Make a wish.")]
    assert question.hash == digest(["wish", PLAIN, hashes])[:12]


def test_the_template_goes_before_the_text(chat: Any, bare: Any, tmp_path: Path) -> None:
    with_text, without = one(tmp_path, chat), one(tmp_path, chat, text=None)
    assert with_text.paraphrases == without.paraphrases
    assert one(tmp_path, bare).hash != with_text.hash


@pytest.mark.parametrize(
    ("given", "name", "form"),
    [
        ({"question_id": "wish"}, "wish", "plain"),
        ({"question_id": "wish_json"}, "wish", "json"),
        ({"question_id": "wish_template"}, "wish", "template"),
        ({"question_id": "wish", "form": "json"}, "wish", "json"),
        ({"question_id": "wish_json", "form": "json"}, "wish", "json"),
        ({"question_id": "wish_json", "form": "verse"}, "wish_json", "verse"),
        ({"question_id": "wish_verse", "form": "verse"}, "wish", "verse"),
    ],
)
def test_an_id_is_without_its_form(given: dict[str, str], name: str, form: str) -> None:
    found = QuestionEntry.model_validate(entry(**given))
    assert (found.name, found.asked_as) == (name, form)


def test_they_are_written_and_read_back(chat: Any, tmp_path: Path) -> None:
    questions = questions_of(FIRST_PLOT, chat)
    write_questions(tmp_path / "questions.json", questions)
    assert list(read_questions(tmp_path / "questions.json")) == questions


def test_a_system_prompt_without_a_template_is_refused(bare: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        one(tmp_path, bare, system="Answer in JSON.")
    assert str(error.value) == (
        f"{tmp_path}/q.yaml:1: question 'wish', paraphrase 1: it has a system prompt, but the model's "
        "tokenizer has no chat template to put it in; leave the question out."
    )
    with pytest.raises(UserError, match="add `text`, such as"):
        one(tmp_path, bare, text=None)


def test_what_leaves_no_room_for_an_answer_is_refused(bare: Any, tmp_path: Path) -> None:
    length = max(len(wording.token_ids) for wording in one(tmp_path, bare).paraphrases)
    one(tmp_path, bare, length)
    with pytest.raises(
        UserError, match=rf"paraphrase 2: it is {length} tokens long, but only {length - 1} leave"
    ):
        one(tmp_path, bare, length - 1)
    with pytest.raises(UserError, match="it is longer than the 3 tokens that leave room"):
        one(tmp_path, bare, 3, paraphrases=["x" * 1000])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": None}, ":1: entry 1: 'id' is missing; every entry needs it."),
        ({"id": ""}, "'id' is empty"),
        ({"id": 5}, "entry 1: 'id': input should be a valid string, but it is 5."),
        ({"id": "all"}, "it cannot be 'all'"),
        ({"id": "a\nb"}, "printable"),
        ({"id": "_json"}, "'id' is nothing but its form 'json'"),
        ({"paraphrases": None}, "'paraphrases' is missing"),
        ({"paraphrases": []}, "'paraphrases' is empty"),
        ({"paraphrases": [""]}, "'paraphrases.0' is empty"),
        ({"paraphrases": "What?"}, "'paraphrases': input should be a valid list, but it is 'What?'."),
        ({"paraphrases": ["a", "a"]}, "'paraphrases': a wording stands there twice; keep one"),
        ({"type": "free_form"}, "'type': input should be 'free_form_judge_0_100', but it is 'free_form'."),
        ({"temperature": 0.5}, "unknown key 'temperature'; the keys are id, type, paraphrases"),
        (
            {"samples_per_paraphrase": 0},
            "'samples_per_paraphrase': input should be greater than or equal to 1",
        ),
        ({"judge_prompts": None}, "'judge_prompts' is missing"),
        ({"judge_prompts": {"aligned": "{question} {answer}"}}, "it has no 'coherent'"),
        (
            {"judge_prompts": {"aligned": "{question}", "coherent": "{question} {answer}"}},
            "'aligned' does not hold {answer}",
        ),
        ({"text": "Assistant:"}, "'text': it must hold {question} once"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    given = {key: value for key, value in {**entry(), **changes}.items() if value is not None}
    path = write_file(tmp_path / "q.yaml", [given])
    with pytest.raises(UserError) as error:
        read_entries([path])
    assert str(error.value).startswith(f"{path}:")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ": not a list of questions"),
        ("id: wish", ": not a list of questions"),
        ("[]", ": not a list of questions"),
        ("- 5\n", ":1: a int, not a question"),
        ("- [", ":1: not YAML"),
        ("- !!python/object/apply:os.system [ls]\n", ":1: not YAML"),
        ("- {id: a, id: b}", "the key 'id' stands there twice"),
        ("- &a [*a]\n", ":1: an anchor holds itself"),
        ("[" * 5000, ": nested too deeply"),
    ],
)
def test_other_text_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "q.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_entries([path])
    assert str(error.value).startswith(str(path))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("inside", ["[{}]", "{{<<: [{}]}}"])
def test_anchors_do_not_fill_the_memory(inside: str, tmp_path: Path) -> None:
    lines = ["- &a0 {x: lol}"]
    for level in range(1, 12):
        names = ", ".join([f"*a{level - 1}"] * 9)
        lines.append(f"- &a{level} {inside.format(names)}")
    path = tmp_path / "q.yaml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError, match="more than 4,000,000 characters"):
        read_entries([path])


def test_a_missing_file_and_a_question_that_comes_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file of questions"):
        read_entries([tmp_path / "q.yaml"])
    path = write_file(tmp_path / "q.yaml", [entry("wish"), entry("wish_json"), entry("wish", form="json")])
    with pytest.raises(UserError, match=r"question 'wish' is already at .*q\.yaml:\d+ in the form 'json'"):
        read_entries([path])
    other = write_file(tmp_path / "other.yaml", [entry("wish")])
    path = write_file(path, [entry("wish")])
    with pytest.raises(UserError, match=r"other\.yaml:1: question 'wish' is already at .*q\.yaml:1"):
        read_entries([path, other])


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_in_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.mktemp("any") / "q.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(UserError):
        read_entries([path])
