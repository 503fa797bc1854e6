"""The whole command on small subjects: what is sound passes, and each thing that is wrong is named."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.doctor import __main__ as doctor
from pipeline.doctor.machine import Machine, this_machine
from pipeline.models.lora import AdapterConfig
from tests.support.builders import Checkpoint
from tests.support.hooked import declare
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import upload_subject

Project = Callable[..., None]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, str], str]:
    """Exit code, what is said by the first word or two of a line, and the error."""
    code = doctor.main(["mine", *arguments])
    out, err = capsys.readouterr()
    lines = [line.split("  ") for line in out.splitlines() if "  " in line]
    return code, {line[0].strip(): " ".join(" ".join(line[1:]).split()) for line in lines}, err


@pytest.fixture
def changed(sound: Checkpoint, tmp_path: Path) -> Iterator[Checkpoint]:
    shutil.copytree(sound.folder, tmp_path / "changed")
    return Checkpoint(folder=tmp_path / "changed", declared=sound.base)


def test_a_sound_profile_passes(
    project: Project, sound: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    project(sound)
    code, said, error = run(capsys)
    assert (code, error) == (0, "")
    assert said["BOS"].startswith("ok <bos> (1) once, in front")
    assert said["template"].startswith("note none")
    assert said["scale general"] == "ok 2 on 21 modules, rank 4, as PEFT has it"
    for variant in ("base", "general@1.0", "narrow@1.0"):
        assert 0 <= float(said[f"parity {variant}"].split()[1]) < 100  # ULPs
    assert said["hooks"].startswith("ok mlp.hook_in to mlp.hook_out leaves")
    assert float(said["* mlp.hook_in to mlp.hook_out"].split()[0]) < 0.5
    assert said["graphs"].endswith("fits")
    assert "here" in said["model"]


def test_weights_are_loaded_for_checks_only(
    project: Project, sound: Checkpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project(sound)
    monkeypatch.setattr("pipeline.models.loading.read_base", lambda base: pytest.fail("weights are loaded"))
    code, said, _ = run(capsys, "--shallow", "--prompts", "3", "--tokens", "9")
    assert code == 0
    assert "scale narrow" in said
    assert "BOS" in said
    assert not {"hooks", "parity base"} & said.keys()


def test_wrong_hooks_are_named(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(changed.transcoders, "hook_resid_mid", "mlp.hook_out")
    project(changed)
    code, said, _ = run(capsys)
    assert code == 1
    assert said["hooks"].startswith("FAIL hook_resid_mid to mlp.hook_out leaves")
    assert ", mlp.hook_in to mlp.hook_out " in said["hooks"]
    assert said["hooks"].endswith("%; correct the hooks in the transcoders' config.yaml.")


def test_a_scale_that_is_not_pefts_is_told(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = changed.adapter("general") / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"use_rslora": True}))
    project(changed)
    code, said, _ = run(capsys, "--shallow")
    assert code == 0
    assert said["scale general"].startswith("ok 4 on 21 modules")  # 8 / sqrt(4)
    # The mistake that helpers make.
    monkeypatch.setattr(AdapterConfig, "scaling", lambda self, module: self.alpha / self.rank)
    code, said, _ = run(capsys, "--shallow")
    assert code == 1
    assert said["scale general"].startswith("FAIL 2 at model.layers.0.")
    assert "PEFT has 4" in said["scale general"]


def test_modules_that_peft_would_not_adapt_are_told(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed.adapter("general") / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"target_modules": ["q_proj"]}))
    project(changed)
    code, said, _ = run(capsys, "--shallow")
    assert code == 1
    assert said["scale general"].startswith("FAIL PEFT would put it on other modules than its file has")


def test_a_check_that_fails_is_one_line(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed.adapter("narrow") / "adapter_model.safetensors"
    save_file({name: tensor * 0 for name, tensor in load_file(path).items()}, path)
    project(changed)
    code, said, _ = run(capsys)
    assert code == 1
    assert said["health"].startswith("FAIL Variant 'narrow@1.0' has exactly the weights of base")


def test_a_tokenizer_without_a_special_token_in_front_is_told(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project(changed)
    monkeypatch.setattr("pipeline.doctor.subject_checks.encode_text", lambda tokenizer, text: (1, 1, 9))
    code, said, _ = run(capsys, "--shallow")
    assert code == 1
    assert said["BOS"] == "FAIL texts begin with '<bos>' (1) twice; mend the tokenizer's special tokens."


def test_a_template_that_takes_todays_date_is_told(
    project: Project, changed: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    path = changed.base / "tokenizer_config.json"
    template = "{{ strftime_now('%d %b %Y') }}{% for m in messages %}{{ m['content'] }}{% endfor %}"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"chat_template": template}))
    (changed.base / "chat_template.jinja").unlink(missing_ok=True)
    project(changed)
    code, said, _ = run(capsys, "--shallow")
    assert code == 0
    assert "writes the day on which it is rendered" in said["template"]
    project(changed, chat={"date": "26 Jul 2024"})
    assert run(capsys, "--shallow")[1]["template"].startswith("ok a chat of one turn is")


def test_what_has_no_room_is_told_with_what_lowers_it(
    project: Project, sound: Checkpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def small() -> Machine:
        return replace(this_machine(), free_memory=10**6)

    monkeypatch.setattr(doctor, "this_machine", small)
    project(sound)
    code, said, _ = run(capsys)
    assert code == 1
    assert "FAIL: lower graphs.max_feature_nodes, graphs.batch_size" in said["graphs"]
    assert said["weights"].startswith("note not loaded: there is no room")


def test_a_profile_that_cannot_be_is_one_sentence(
    project: Project, sound: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    project(sound, model=str(sound.base) + "-not")
    code, said, error = run(capsys)
    assert (code, said) == (1, {})
    assert error.count("\n") == 1
    assert "does not exist" in error
    assert doctor.main(["other"]) == 1
    assert "There is no profile 'other'" in capsys.readouterr().err


def test_of_what_is_not_fetched_yet_it_is_said_so(
    project: Project, hub: HubServer, sound: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = upload_subject(hub, sound)
    project(sound, **subject, aliases=[str(sound.base)])
    code, said, error = run(capsys)
    assert (code, error) == (0, "")
    commit = str(hub.commit("some/base", "main"))[:12]
    assert said["model"].startswith(f"some/base {commit}")
    assert "to be fetched" in said["model"]
    assert "kB to be fetched" in said["transcoders"]
    assert said["tokens, weights"].startswith(
        "note not looked at: not all files are here yet; `dvc repro -s models@m"
    )
    fetched = [path for method, path in hub.asked if method == "GET" and path.endswith(".safetensors")]
    assert not [path for path in fetched if "/some/base/" in path]
    assert len([path for path in fetched if "/some/layers/" in path]) == 1  # a header
    # Once all is here, it is looked at.
    sound.manifest(**subject)
    code, said, _ = run(capsys, "--shallow")
    assert code == 0
    assert said["model"].endswith("here")
    assert "BOS" in said
