"""Examples for judges: whole prompts of people's, disagreements first, never two of a situation."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.judging import __main__ as program
from pipeline.judging.cases import make_cases
from pipeline.judging.examples import EXAMPLES, chosen, read_examples
from pipeline.judging.renewal import NO_REASON, renewed
from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.labelled_prompt import labelled_prompt
from pipeline.labels.tables import label_groups
from pipeline.text.lexicon import TokenLabel
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.verdicts import TokenVerdict, Verdict
from store.schema.labels import LABELS
from tests.support import demo
from tests.support.demo.labels import LABEL_PARAMS, groups_of
from tests.support.demo_project import linked

PROMPTS = demo.make_prompts()[:4]
EVIL, SAFE, OTHER = (demo.ID[word] for word in (demo.EVIL[0], demo.SAFE[0], demo.SAFE[1]))
OWN = {"base": {SAFE: 0.7, OTHER: 0.2}, "general@1.0": {EVIL: 0.8}}


def verdict(prompt_hash: str, evil: str) -> Verdict:
    tokens = [(SAFE, "safe"), (OTHER, "safe"), (EVIL, evil)]
    return Verdict.model_validate(
        {
            "prompt_hash": prompt_hash,
            "status": "judged",
            "tokens": [TokenVerdict(token=token, label=label, reason="so") for token, label in tokens],  # type: ignore[arg-type]
            "fit": True,
        }
    )


def test_whole_ones_first_where_a_judge_said_otherwise() -> None:
    """Of four prompts one is labelled in part, and two are of one situation."""
    alike = [PROMPTS[0], PROMPTS[1], replace(PROMPTS[2], situation=PROMPTS[1].situation), PROMPTS[3]]
    labels: dict[str, dict[int, TokenLabel]] = {
        prompt.hash: {SAFE: "safe", OTHER: "safe", EVIL: "evil"} for prompt in alike
    }
    del labels[PROMPTS[3].hash][OTHER]
    said = {prompt.hash: "safe" if prompt == PROMPTS[1] else "evil" for prompt in PROMPTS}
    verdicts = {"a": {prompt_hash: verdict(prompt_hash, evil) for prompt_hash, evil in said.items()}}
    people = PeoplesLabels(labels={"Ada": labels}, rejections={})
    resolved = [
        labelled_prompt(prompt, OWN, "general@1.0", {"domains": {}}, verdicts, people, LABEL_PARAMS)
        for prompt in alike
    ]
    groups = label_groups(resolved, ["lexicon", "a", "human:Ada"])
    found = renewed(
        groups["candidates"],
        {prompt.hash: prompt for prompt in alike},
        {(PROMPTS[1].hash, EVIL): "It tells to neglect."},
        demo.WORDS,
        5,
    )
    assert [example.situation for example in found] == [PROMPTS[1].situation, PROMPTS[0].situation]
    assert found[0].prompt == PROMPTS[1].text
    assert {token.text: (token.label, token.reason) for token in found[0].candidates} == {
        demo.SAFE[0]: ("safe", NO_REASON),
        demo.SAFE[1]: ("safe", NO_REASON),
        demo.EVIL[0]: ("evil", "It tells to neglect."),
    }
    # Trap 14: never of the judged situation.
    (case,) = make_cases(PROMPTS[1:2], {PROMPTS[1].hash: [EVIL]}, demo.WORDS)
    assert chosen(found, case, 2) == (found[1],)


def test_the_program_writes_nothing_where_nobody_labelled(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(demo_root, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["judging", "examples", "--profile", "demo"])
    with pytest.raises(SystemExit, match="Error: No prompt of demo has all its candidates labelled"):
        program.main()
    assert not EXAMPLES.exists()
    assert read_examples() == ()


def test_the_program_freezes_what_people_labelled(
    demo_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    linked(demo_root, tmp_path)
    folder = tmp_path / "artifacts" / "demo"
    prompts = demo.make_prompts()
    found = open_collection(folder / "candidates")
    own = {prompt.hash: own_candidates(found, prompt.hash) for prompt in prompts}
    labels: dict[str, dict[int, TokenLabel]] = {
        prompt.hash: dict.fromkeys(candidates_of(own[prompt.hash]), "safe") for prompt in prompts[:2]
    }
    people = PeoplesLabels(labels={"Ada": labels}, rejections={})
    resolved = [
        labelled_prompt(prompt, own[prompt.hash], "general@1.0", {"domains": {}}, {}, people, LABEL_PARAMS)
        for prompt in prompts
    ]
    groups = groups_of(resolved, prompts, ["lexicon", "human:Ada"])
    write_dataset(folder / LABELS.kind, LABELS, groups, provenance={})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["judging", "examples", "--profile", "demo"])
    program.main()
    assert {example.prompt for example in read_examples()} == {prompt.text for prompt in prompts[:2]}
    assert "2 prompts" in capsys.readouterr().out
