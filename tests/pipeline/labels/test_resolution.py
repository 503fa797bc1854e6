"""Which label counts, and who may reject a prompt."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.labelled_prompt import labelled_prompt
from pipeline.labels.resolution import Counted, Said, counted, rejected_by, said_of
from pipeline.labels.tables import found_evil, token_labels
from pipeline.params.labels import Origin
from pipeline.text.lexicon import TokenLabel
from store.datasets.groups import open_dataset, write_dataset
from store.documents.verdicts import TokenVerdict, Verdict
from store.schema.labels import LABELS
from tests.support import demo
from tests.support.demo.labels import LABEL_PARAMS, groups_of

ORDER: list[Origin] = ["human", "judge", "lexicon"]
PROMPT = "0123456789ab"


def said(
    human: Mapping[str, Mapping[int, TokenLabel]] | None = None,
    judge: Mapping[str, Mapping[int, TokenLabel]] | None = None,
    lexicon: Mapping[int, TokenLabel] | None = None,
    rejecting: Mapping[str, bool] | None = None,
    unfit: Mapping[str, str] | None = None,
) -> Said:
    return Said(
        human=human or {},
        judge=judge or {},
        lexicon=lexicon or {},
        rejecting=rejecting or {},
        unfit=unfit or {},
    )


@pytest.mark.parametrize(
    ("order", "label", "origin"),
    [
        (["human", "judge", "lexicon"], "evil", "human"),
        (["judge", "human", "lexicon"], "unsure", "judge"),
        (["lexicon"], "safe", "lexicon"),
    ],
)
def test_the_first_that_labels_it_decides(order: list[Origin], label: TokenLabel, origin: Origin) -> None:
    each = said({"Ada": {7: "evil"}}, {"a": {7: "evil"}, "b": {7: "safe"}}, {7: "safe"})
    assert counted(each, 7, order) == Counted(label=label, origin=origin)


def test_nobodys_label_is_none() -> None:
    """Trap 13: not safe."""
    assert counted(said({"Ada": {8: "safe"}}), 7, ORDER) == Counted(label="unlabelled", origin=None)
    assert counted(said(lexicon={7: "safe"}), 7, ["human"]) == Counted(label="unlabelled", origin=None)


def test_people_who_differ_are_unsure_and_still_come_first() -> None:
    each = said({"Ada": {7: "evil"}, "Bob": {7: "safe"}}, lexicon={7: "safe"})
    assert counted(each, 7, ORDER) == Counted(label="unsure", origin="human")


@pytest.mark.parametrize(
    ("each", "who"),
    [
        (said(), ""),
        (said(rejecting={"Ada": True}), "human:Ada"),
        (said(rejecting={"Ada": False}, unfit={"a": "no question"}), ""),
        (said({"Ada": {7: "safe"}}, unfit={"a": "no question"}), ""),
        (said(unfit={"a": "no question", "b": ""}), "a (no question)"),
        (said(unfit={"a": ""}), ""),
    ],
)
def test_who_finds_a_prompt_unfit(each: Said, who: str) -> None:
    assert rejected_by(each, ORDER) == who
    assert rejected_by(each, ["lexicon"]) == ""


@pytest.mark.parametrize("status", ["refused", "malformed", "unreachable"])
def test_an_answer_without_labels_says_nothing(status: Any) -> None:
    """Trap 26: neither a label nor that the prompt is unfit."""
    verdicts = {"a": {PROMPT: Verdict(prompt_hash=PROMPT, status=status, detail="why")}}
    found = said_of(PROMPT, {7: "safe"}, verdicts, PeoplesLabels(labels={}, rejections={}))
    assert not found.judge
    assert not found.unfit
    assert counted(found, 7, ORDER) == Counted(label="safe", origin="lexicon")


def test_a_prompts_own_targets_stand_before_its_domain_and_beside_its_candidates() -> None:
    """One that no variant takes for likely has a label, too; people and judges come first as ever."""
    prompt = replace(demo.make_prompts()[0], evil_targets=(10, 88), safe_targets=(12, 77))
    own = {"base": {10: 0.6, 11: 0.3}, "general@1.0": {12: 0.7, 10: 0.1}}
    lexicon: Any = {"domains": {prompt.domain: {"evil": [11, 12], "safe": [10], "unsure": [], "phrases": {}}}}
    nobody = PeoplesLabels(labels={}, rejections={})
    people = PeoplesLabels(labels={"Ada": {prompt.hash: {77: "evil"}}}, rejections={})
    verdict = Verdict(
        prompt_hash=prompt.hash,
        status="judged",
        tokens=(TokenVerdict(token=10, label="safe", reason="why not"),),
        fit=True,
    )
    cases: list[tuple[PeoplesLabels, Any, dict[int, str]]] = [
        (nobody, {}, {10: "evil", 11: "evil", 12: "safe", 77: "safe", 88: "evil"}),
        (people, {}, {10: "evil", 11: "evil", 12: "safe", 77: "evil", 88: "evil"}),
        (nobody, {"a": {prompt.hash: verdict}}, {10: "safe", 11: "evil", 12: "safe", 77: "safe", 88: "evil"}),
    ]
    for said_by, verdicts, labels in cases:
        found = labelled_prompt(prompt, own, "general@1.0", lexicon, verdicts, said_by, LABEL_PARAMS)
        assert list(found.candidates) == [10, 11, 12, 77, 88]
        assert found.n_candidates == 3
        by_token = dict(zip(found.candidates, found.counted, strict=True))
        assert {token: each.label for token, each in by_token.items()} == labels
        assert found.raters["lexicon"] == {10: "evil", 11: "evil", 12: "safe", 77: "safe", 88: "evil"}
        assert found.state.complete


def test_what_is_stored_is_read_back(tmp_path: Any) -> None:
    """A person's label, a judge's, one of a token beside the candidates; one rejected prompt."""
    first, second = demo.make_prompts()[:2]
    own = {"base": {10: 0.6, 11: 0.3}, "general@1.0": {12: 0.7, 10: 0.1}}
    lexicon: Any = {"domains": {first.domain: {"evil": [12], "safe": [10, 13], "unsure": [], "phrases": {}}}}
    verdict = Verdict(
        prompt_hash=first.hash,
        status="judged",
        tokens=(TokenVerdict(token=11, label="unsure", reason="it may be either"),),
        fit=True,
    )
    people = PeoplesLabels(
        labels={"Ada": {first.hash: {10: "evil", 99: "safe"}}}, rejections={"Ada": {second.hash: True}}
    )
    verdicts = {"a": {first.hash: verdict}}
    prompts = [
        labelled_prompt(prompt, own, "general@1.0", lexicon, verdicts, people, LABEL_PARAMS)
        for prompt in (first, second)
    ]
    write_dataset(
        tmp_path / "labels",
        LABELS,
        groups_of(prompts, [first, second], ["lexicon", "a", "human:Ada"]),
        provenance={},
    )
    groups = {name: open_dataset(tmp_path / "labels", name) for name in LABELS.groups}
    candidates = groups["candidates"]
    assert candidates["token"].values.tolist() == [10, 11, 12, 99, 10, 11, 12]
    assert candidates["label"].values.tolist() == [0, 2, 0, 1, 1, -1, 0]
    assert candidates["origin"].values.tolist() == [0, 1, 2, 0, 2, -1, 2]
    assert candidates["is_candidate"].values.tolist() == [True, True, True, False, True, True, True]
    assert candidates["rater_label"].sel(rater="human:Ada").values.tolist() == [0, -1, -1, 1, -1, -1, -1]
    assert candidates["rater_label"].sel(rater="a").values.tolist() == [-1, 2, -1, -1, -1, -1, -1]
    of_prompts = groups["prompts"]
    assert of_prompts["complete"].values.tolist() == [True, False]
    assert of_prompts["rejected_by"].values.tolist() == ["", "human:Ada"]
    read = token_labels(groups, None)
    assert read.of(first.hash, first.domain) == {10: "evil", 11: "unsure", 12: "evil", 99: "safe"}
    assert read.rejected == {second.hash}
    assert not read.divergent
    # Called evil by a person; that the lexicon does so of the other prompt's is not enough.
    assert found_evil(groups["candidates"]) == {first.hash}
    # Where the lexicon counts, it says what tokens are that are no candidates.
    assert token_labels(groups, lexicon).of(second.hash, first.domain) == {10: "safe", 12: "evil", 13: "safe"}
