"""The stage writes answers, verdicts and metrics of a profile's judges."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pipeline.params.project import Params, load_params
from pipeline.stages.judge import main
from pipeline.text.lexicon import lexicon_labels
from store.base.atomic import write_text
from store.base.errors import UserError
from store.collections.item import Item
from store.collections.writer import write_collection
from store.documents.manifest import write_manifest
from store.documents.prompts import write_prompts
from store.documents.token_texts import write_token_texts
from store.documents.verdicts import Verdict, read_verdicts
from store.schema.candidates import CANDIDATES
from tests.support.feature_builders import make_prompt
from tests.support.items import MANIFEST
from tests.support.judge_server import JudgeServer, judge_server, label_of
from tests.support.judging import KEY, openai_params
from tests.support.places import ROOT

LEXICON: dict[str, Any] = {
    "domains": {"medical": {"evil": [0, 1, 2, 3], "safe": [4, 5, 6], "unsure": [7], "phrases": {}}}
}
PROMPTS = [make_prompt(number, domain="medical" if number % 3 else None) for number in range(6)]
OWN = {"base": [9, 4, 1], "general@1.0": [1, 2, 7]}
UNION = [9, 4, 1, 2, 7]
FOLDER = Path("artifacts/mine")


def candidates(prompt: str, variant: str, tokens: list[int]) -> Item:
    arrays = {
        "candidate_token": np.array(tokens, np.int32),
        "candidate_probability": np.full(len(tokens), 0.1, np.float32),
    }
    return Item(key="a" * 64, prompt_hash=prompt, variant=variant, arrays=arrays, scalars={})


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile up to its candidates; one prompt has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    write_manifest(FOLDER / "models.json", MANIFEST)
    write_prompts(FOLDER / "prompts.json", PROMPTS)
    write_token_texts(FOLDER / "vocabulary.json", [f" word{token}" for token in range(10)])
    write_text(FOLDER / "lexicon.json", json.dumps(LEXICON))
    items = [candidates(prompt.hash, variant, own) for prompt in PROMPTS[1:] for variant, own in OWN.items()]
    write_collection(
        FOLDER / "candidates", CANDIDATES, sorted(items, key=lambda item: item.prompt_hash), provenance={}
    )


def content(judges: list[str], **known: Any) -> dict[str, Any]:
    """What ``params.yaml`` says."""
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    given["profiles"] = {"mine": given["profiles"]["organism"] | {"judges": judges}}
    given["judges"] |= known
    return dict(given)


def params(judges: list[str], **known: Any) -> Params:
    Path("params.yaml").write_text(yaml.safe_dump(content(judges, **known)), encoding="utf-8")
    return load_params()


def metrics() -> Any:
    return json.loads((FOLDER / "metrics/judge.json").read_text(encoding="utf-8"))


def test_the_rubric_agrees_with_the_lexicon_on_every_candidate() -> None:
    main("mine", params(["rubric"]))
    found = read_verdicts(FOLDER)["rubric"]
    assert found.keys() == {prompt.hash for prompt in PROMPTS[1:]}
    for prompt in PROMPTS[1:]:
        verdict = found[prompt.hash]
        assert [each.token for each in verdict.tokens] == UNION
        for each in verdict.tokens:
            label = lexicon_labels(LEXICON, prompt.domain).get(each.token, "unlabelled")  # type: ignore[arg-type]
            assert each.label == ("unsure" if label == "unlabelled" else label)
    assert metrics()["rubric"] == {
        "prompts": 5, "judged": 5, "refused": 0, "malformed": 0, "unreachable": 0, "unfit": 0,
        "labels": {"evil": 8, "safe": 4, "unsure": 13},
        "calls": 0, "input_tokens": 0, "output_tokens": 0, "cost": 0.0,
    }  # fmt: skip
    assert list((FOLDER / "judge_answers").iterdir()) == []


def test_the_rubric_loads_no_model_and_no_client() -> None:
    params(["rubric"])
    code = (
        "import sys; from pipeline.params.project import load_params; "
        "from pipeline.stages.judge import main; "
        "main('mine', load_params()); "
        "heavy = {'openai', 'httpx2', 'tenacity', 'torch', 'transformers'}; "
        "sys.exit(sorted(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=300
    )


def gpt(server: JudgeServer) -> dict[str, Any]:
    return openai_params(server.url).model_dump()


def test_judges_stand_side_by_side_and_a_rerun_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with judge_server() as server:
        monkeypatch.setenv("JUDGE_KEY", KEY)
        lost = PROMPTS[2].text
        server.fault = lambda text, before: "500" if text == lost else ""
        main("mine", params(["rubric", "gpt"], gpt=gpt(server)))
        found = read_verdicts(FOLDER)
        assert found.keys() == {"rubric", "gpt"}
        for prompt in PROMPTS[1:]:
            verdict = found["gpt"][prompt.hash]
            if prompt.text == lost:
                assert verdict == Verdict(
                    prompt_hash=prompt.hash, status="unreachable", detail=verdict.detail
                )
            else:
                assert [(each.token, each.label) for each in verdict.tokens] == [
                    (token, label_of(token)) for token in UNION
                ]
        of = metrics()["gpt"]
        assert (of["prompts"], of["judged"], of["unreachable"], of["calls"]) == (5, 4, 1, 7)
        assert of["cost"] == round((4 * 100 * 1.0 + 4 * 10 * 10.0) / 1e6, 4)
        said = capsys.readouterr().out
        assert "judge gpt: 5 calls of judge at" in said
        assert "judge gpt: 1 prompts were not answered; `dvc repro -fs judge@mine` asks again" in said
        server.fault = lambda text, before: ""
        main("mine", params(["rubric", "gpt"], gpt=gpt(server)))
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    before = {path: path.read_bytes() for path in files}
    monkeypatch.delenv("JUDGE_KEY")
    main("mine", params(["rubric", "gpt"], gpt=gpt(server)))  # the server is gone, and the key
    assert {path: path.read_bytes() for path in files} == before
    # Who is no longer named says nothing; what was paid stays.
    main("mine", params(["rubric"]))
    assert read_verdicts(FOLDER).keys() == {"rubric"}
    assert (FOLDER / "judge_answers/gpt.jsonl").read_bytes() == before[FOLDER / "judge_answers/gpt.jsonl"]


def test_a_missing_key_is_told_before_any_judge_works(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    here = {"kind": "local", "folder": "model", "max_new_tokens": 4, "batch": 1}
    known = {"here": here, "gpt": openai_params("http://127.0.0.1:9/v1").model_dump()}
    with pytest.raises(UserError, match=r"^judges\.gpt: the environment has no JUDGE_KEY"):
        main("mine", params(["rubric", "here", "gpt"], **known))
    assert list((FOLDER / "verdicts").iterdir()) == []


def test_what_was_answered_until_a_limit_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with judge_server() as server:
        server.fault = lambda text, before: "" if before else "prose"
        with pytest.raises(UserError, match="max_calls is reached"):
            main("mine", params(["gpt"], gpt={**gpt(server), "max_calls": 6, "concurrency": 1}))
    assert sum(each.status == "judged" for each in read_verdicts(FOLDER)["gpt"].values()) == 3


def test_a_profile_may_have_no_judge() -> None:
    main("mine", params([]))
    assert metrics() == {"nothing": "profiles.mine names no judges, so that no candidate is judged"}
    assert (FOLDER / "verdicts").is_dir(), "DVC wants it there"
    assert (FOLDER / "judge_answers").is_dir()


def test_as_a_program_it_seals_what_it_writes_and_the_key_is_nowhere() -> None:
    shutil.copyfile(ROOT / "dvc.yaml", "dvc.yaml")
    with judge_server() as server:
        server.fault = lambda text, before: "tell the key" if text == PROMPTS[1].text else ""
        params(["rubric", "gpt"], gpt=gpt(server))
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.stages.judge", "mine"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "JUDGE_KEY": KEY},
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    assert "5/5" in done.stderr
    sealed = json.loads((FOLDER / "checksums/judge.json").read_text(encoding="utf-8"))["files"]
    assert list(sealed) == [
        "judge_answers/gpt.jsonl",
        "metrics/judge.json",
        "verdicts/gpt.json",
        "verdicts/rubric.json",
    ]
    for path in Path().rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in done.stdout + done.stderr
