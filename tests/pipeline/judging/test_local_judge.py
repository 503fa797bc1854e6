"""A judge in a folder: what it says is read as a service's answer is."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline.judging.asked_judge import AskedJudge
from pipeline.judging.local_judge import LocalModel
from pipeline.judging.messages import messages
from pipeline.params.judges import LocalJudge
from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError
from tests.support.builders import make_checkpoint
from tests.support.chats import DATED, give_template
from tests.support.judge_server import answer_of, label_of
from tests.support.judging import judged, make_case, make_cases
from tests.support.judging_model import lengthen_context, make_speaker


@pytest.fixture(scope="module")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Llama that chats."""
    base = make_checkpoint(tmp_path_factory.mktemp("babbler"), n_layers=2).base
    give_template(base)
    lengthen_context(base)
    return base


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that answers for the candidates of case 1, and of no other."""
    said = answer_of([each.token for each in make_case(1).candidates])
    return make_speaker(tmp_path_factory.mktemp("speaker") / "model", said)


def local(folder: Path, path: Path, **changes: Any) -> AskedJudge:
    fields = {"kind": "local", "folder": str(folder), "max_new_tokens": 12, "batch": 2}
    params = LocalJudge.model_validate(fields | changes)
    return AskedJudge("here", LocalModel("here", params, RuntimeParams(seed=0, threads=1)), path)


def test_what_a_model_says_is_read_and_held_against_the_candidates(speaker: Path, tmp_path: Path) -> None:
    path = tmp_path / "here.jsonl"
    case, *others = make_case(1), make_case(2), make_case(3)
    judge = local(speaker, path)
    found = judged(judge, [case, *others])
    verdict = found[case.prompt_hash]
    assert (verdict.status, verdict.fit) == ("judged", True)
    assert [(each.token, each.label) for each in verdict.tokens] == [
        (each.token, label_of(each.token)) for each in case.candidates
    ]
    for other in others:  # ids of another prompt are no answer
        assert found[other.prompt_hash].status == "malformed"
        assert "lacks 14" in found[make_case(2).prompt_hash].detail
    assert judge.usage().calls == 3
    assert judge.usage().output_tokens == 3
    assert judge.cost() == 0.0


def test_what_cannot_be_read_is_kept_and_not_asked_again(
    babbler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, cases = tmp_path / "here.jsonl", make_cases(5)
    found = judged(local(babbler, path), cases)
    assert {each.status for each in found.values()} == {"malformed"}
    assert all("it was cut after 12 tokens; it " in each.detail for each in found.values())
    before = path.read_bytes()
    assert all(json.loads(line)["raw"] for line in before.splitlines())
    monkeypatch.setattr(LocalModel, "_loaded", None)
    assert judged(local(babbler, path, batch=5), cases) == found
    assert path.read_bytes() == before


def test_an_answer_does_not_depend_on_what_is_asked_beside_it(babbler: Path, tmp_path: Path) -> None:
    """Requests of a batch are padded to one length, and padding is not read."""
    cases = make_cases(5)
    raw = []
    for batch in (1, 5):
        path = tmp_path / f"{batch}.jsonl"
        judged(local(babbler, path, batch=batch, max_new_tokens=6), cases)
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert len({record["usage"]["input_tokens"] for record in records}) > 1
        raw.append([record["raw"] for record in records])
    assert raw[0] == raw[1]
    assert len(set(raw[0])) > 1


def test_other_weights_or_another_length_ask_again(babbler: Path, speaker: Path) -> None:
    bodies = [
        LocalModel(
            "here",
            LocalJudge.model_validate({"kind": "local", "folder": str(folder), "batch": 1, **changes}),
            RuntimeParams(seed=0, threads=1),
        ).body(messages(make_case(1), ()), "verdicts")
        for folder, changes in (
            (babbler, {"max_new_tokens": 5}),
            (speaker, {"max_new_tokens": 5}),
            (babbler, {"max_new_tokens": 6}),
            (babbler, {"max_new_tokens": 5, "dtype": "bfloat16"}),
            (babbler, {"max_new_tokens": 5, "chat": {"date": "26 Jul 2024"}}),
        )
    ]
    assert len({json.dumps(body) for body in bodies}) == 5
    assert "chat" not in bodies[0]
    assert str(babbler) not in json.dumps(bodies)


def test_what_a_folder_lacks_is_one_sentence(babbler: Path, tmp_path: Path) -> None:
    cases = make_cases(1)
    with pytest.raises(UserError, match=r"^judges\.here\.folder: there is no folder .*nowhere; download"):
        local(tmp_path / "nowhere", tmp_path / "a.jsonl").prepare(cases)
    with pytest.raises(
        UserError, match=r"needs [\d,]+ tokens with its answer, but the model in .* reads 16,384"
    ):
        judged(local(babbler, tmp_path / "b.jsonl", max_new_tokens=16_000), cases)
    bare = tmp_path / "bare"
    shutil.copytree(babbler, bare)
    (bare / "model.safetensors").unlink()
    with pytest.raises(UserError, match=r"the model in .*bare cannot be loaded .*safetensors"):
        judged(local(bare, tmp_path / "c.jsonl"), cases)
    give_template(bare, "{{ raise_exception('no') }}")
    shutil.copyfile(babbler / "model.safetensors", bare / "model.safetensors")
    with pytest.raises(UserError, match=r"the chat template in .*bare refuses a conversation \(no\)"):
        judged(local(bare, tmp_path / "d.jsonl"), cases)
    give_template(bare, DATED)
    with pytest.raises(UserError, match=r"^judges\.here: the model's chat template writes the day"):
        judged(local(bare, tmp_path / "f.jsonl"), cases)
    assert judged(local(bare, tmp_path / "f.jsonl", chat={"date": "26 Jul 2024"}), cases)
    give_template(bare, "")
    with pytest.raises(UserError, match=r"has no chat template; name a model that chats"):
        judged(local(bare, tmp_path / "e.jsonl"), cases)
