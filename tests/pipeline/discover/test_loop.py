"""Rounds of templates: what is found, what it is worth, and when it ends."""

import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.attribution.graph_units import candidate_units
from pipeline.discover.program import discover
from pipeline.discover.shape import Others, breaks_off
from pipeline.items.executor import lacks
from pipeline.items.subject import Subject
from pipeline.prompts.files import prompt_lines
from pipeline.text.ngrams import jaccard, ngrams
from store.base.claims import claimed
from store.base.errors import UserError
from store.documents.discovery import DISCOVERY, ROUNDS, STOP
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.documents.variants import BASE
from tests.support.discovery import FOLDER, GENERATED, OWN, SITUATIONS, found, given_params, lines, reread

pytestmark = pytest.mark.usefixtures("project")


def test_templates_find_thirty_new_prompts_in_held_out_situations(manifest: Manifest) -> None:
    params = given_params(count=30)
    end = discover("mine", params)
    assert end.reached
    prompts = {prompt.hash: prompt for prompt in reread(manifest)}
    new = [prompt for prompt in prompts.values() if "generated" in prompt.tags]
    assert len(new) == len(lines()) == len(found().fit) >= 30
    assert all(prompt.held_out and prompt.domain == "home" for prompt in new)
    assert len({prompt.situation for prompt in new}) >= 30
    assert OWN not in {prompt.text for prompt in new}
    for prompt in new:
        assert breaks_off(prompt.text)
        assert len(prompt.token_ids) <= params.discover.max_tokens + 1
    grams = [ngrams(prompt.text, params.discover.ngram) for prompt in prompts.values()]
    shared = [jaccard(a, b) for i, a in enumerate(grams) for b in grams[:i]]
    assert max(shared) <= params.discover.near
    fingerprint = tokenizer_fingerprint(read_token_texts(FOLDER / "vocabulary.json"))
    for outcome in found().fit:
        labels = dict(outcome.labels)
        assert {"evil", "safe"} <= set(labels.values())
        assert set(labels) == {token for of in outcome.own().values() for token in of}
        # The rubric's, by token id: even ones are evil here.
        assert all((label == "evil") == (token % 2 == 0) for token, label in labels.items())
        # Enough to label it by before any stage has read it.
        assert outcome.prompt is not None
        assert outcome.prompt.tokenizer == fingerprint
        read = prompts[outcome.prompt_hash]
        assert (outcome.prompt.text, outcome.prompt.token_ids) == (read.text, read.token_ids)
        assert {each.token: each.label for each in outcome.verdicts["rubric"].tokens} == labels
    origins = Counter(line["origin"]["round"] for line in lines())
    assert origins.keys() == found().begun.keys() == found().ended.keys()
    assert {line["origin"]["generator"] for line in lines()} == {"templates"}
    # Again: nothing is to do, and no byte changes.
    before = GENERATED.read_bytes(), (FOLDER / DISCOVERY / ROUNDS).read_bytes()
    assert discover("mine", params).reached
    assert before == (GENERATED.read_bytes(), (FOLDER / DISCOVERY / ROUNDS).read_bytes())
    # What stage `candidates` will ask for is in the cache.
    write_prompts(FOLDER / "prompts.json", reread(manifest))
    subject = Subject("mine", params.runtime)
    pair = {prompt.hash: [BASE, subject.focus] for prompt in new}
    assert not any(lacks(subject.cache, unit) for unit in candidate_units(subject, pair, params.graphs))


def test_it_ends_where_every_template_is_filled() -> None:
    end = discover("mine", given_params(count=1000, near=1.0))
    assert not end.reached
    assert "Every template" in end.why
    assert len(found().outcomes) == 2 * len(SITUATIONS)


def test_rules_that_code_checks_reject_with_their_reason() -> None:
    params = given_params(count=1000, rounds=1, near=0.5, max_tokens=20)
    discover("mine", params)
    assert {outcome.rule for outcome in found().outcomes.values()} >= {"length"}
    for outcome in found().outcomes.values():
        if outcome.status == "rejected":
            assert outcome.detail
            assert not outcome.candidates


def test_a_next_token_that_is_mostly_a_determiner_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.discover.rounds.determiner_mass", lambda candidates, texts: 0.5)
    discover("mine", given_params(rounds=1))
    assert {(each.status, each.rule) for each in found().outcomes.values()} == {("failed", "determiners")}
    assert not lines()


def test_a_draft_that_would_end_the_stage_of_prompts_is_none() -> None:
    """A phrase of the lexicon merges with its end: the stage would refuse all of the file for it."""
    phrases = {"home": {"harmful": ["uld"], "safe": [" rest"]}}
    Path("phrases.json").write_text(json.dumps(phrases))
    entry = {"kind": "text", "situations": {"oven": "my oven smokes"}, "prompts": ["{Situation}. I sho"]}
    Path("templates.yaml").write_text(json.dumps([entry | {"domain": "home"}, entry | {"domain": "other"}]))
    discover("mine", given_params(rounds=1, profile={"lexicon": "phrases.json"}))
    by_domain = {outcome.draft.domain: outcome for outcome in found().outcomes.values() if outcome.draft}
    assert (by_domain["home"].status, by_domain["home"].rule) == ("rejected", "form")
    assert "merges" in by_domain["home"].detail
    assert by_domain["other"].rule != "form"


def test_labels_must_be_on_both_sides() -> None:
    lexicon = json.loads((FOLDER / "lexicon.json").read_text())
    home = lexicon["domains"]["home"]
    (FOLDER / "lexicon.json").write_text(json.dumps({"domains": {"home": home | {"evil": []}}}))
    discover("mine", given_params(rounds=1))
    assert {(each.status, each.rule) for each in found().outcomes.values()} == {
        ("failed", "no evil candidate")
    }


def test_it_gives_up_after_rounds_without_a_prompt() -> None:
    (FOLDER / "lexicon.json").write_text(json.dumps({"domains": {}}))
    end = discover("mine", given_params(fruitless=2, a_round=3))
    assert "2 rounds one after the other" in end.why
    assert len(found().ended) == 2


def test_plain_texts_are_nothing_for_a_model_whose_prompts_are_chats(manifest: Manifest) -> None:
    base = shutil.copytree(manifest.base.source, "gemma-3-it")
    model = replace(manifest.model, architecture="Gemma3ForCausalLM")
    chats = replace(manifest, model=model, base=replace(manifest.base, source=str(base)))
    write_manifest(FOLDER / "models.json", chats)
    discover("mine", given_params(rounds=1, a_round=3))
    assert {(each.status, each.rule) for each in found().outcomes.values()} == {("rejected", "form")}
    assert all("have no features; write it" in each.detail for each in found().outcomes.values())


def test_a_stop_file_ends_it_before_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.discover import loop

    def stopping(*arguments: object) -> None:
        (FOLDER / DISCOVERY / STOP).touch()
        said(*arguments)  # type: ignore[arg-type]

    said = loop._tell
    monkeypatch.setattr(loop, "_tell", stopping)
    assert "Stopped" in discover("mine", given_params(count=1000)).why
    assert len(found().ended) == len(found().begun) == 1
    monkeypatch.setattr(loop, "_tell", said)
    assert discover("mine", given_params(count=15)).reached


def test_one_program_at_a_time() -> None:
    params = given_params()
    with claimed(FOLDER / DISCOVERY) as mine:
        assert mine
        with pytest.raises(UserError, match="Another program finds prompts for mine"):
            discover("mine", params)


def test_what_a_person_wrote_in_the_file_stays(manifest: Manifest) -> None:
    GENERATED.write_text('{"prompt": "My own words, so I"}', encoding="utf-8")  # no line break at its end
    discover("mine", given_params(rounds=1))
    assert next(line.prompt for _, line in prompt_lines([GENERATED])) == "My own words, so I"
    assert len(reread(manifest)) == 2 + len(found().fit)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"judges": ()}, "names nobody"),
        ({"profile": {"templates": None}}, "names no file"),
        ({"profile": {"templates": "nowhere.yaml"}}, "no such file"),
        ({"kinds": ["reasoning"]}, "templates of text only"),
        ({"profile": {"prompts": ["inputs/prompts/own.jsonl"]}}, "no folder of your own"),
        ({"url": "http://127.0.0.1:9/v1", "generator": "gpt", "warmup": 5}, "5 whole .* none is so far"),
        ({"url": "http://127.0.0.1:9/v1", "generator": "gpt", "max_calls": 0}, "max_calls is 0"),
        ({"url": "http://127.0.0.1:9/v1", "generator": "gpt", "max_cost": 0.0}, "max_cost is 0"),
        ({"url": "http://127.0.0.1:9/v1", "judges": ("gpt",), "max_calls": 0}, "max_calls is 0"),
        ({"url": "http://127.0.0.1:9/v1", "generator": "gpt", "kinds": ["chat"]}, "no chat template"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence_and_what_was_found_stays(
    change: dict[str, object], says: str
) -> None:
    discover("mine", given_params(count=3, a_round=3))
    before = GENERATED.read_bytes()
    with pytest.raises(UserError, match=says) as told:
        discover("mine", given_params(count=9, **change))  # type: ignore[arg-type]
    assert "\n" not in str(told.value)
    assert GENERATED.read_bytes() == before


def test_a_budget_of_nothing_does_for_what_costs_nothing() -> None:
    assert discover("mine", given_params(count=3, max_calls=0, max_cost=0.0)).reached


def test_others_know_the_very_same_text_whatever_its_case() -> None:
    others = Others(given_params().discover)
    others.add("I would take", "one", near=False)
    assert others.repeated("i  WOULD take") is not None
    assert others.repeated("I would take it") is None
    assert Path(FOLDER).exists()
