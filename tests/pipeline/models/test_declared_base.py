"""What an adapter was made for (trap 6): the same weights are taken under any name, others under none."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.finetuning.build import Finetune, run_finetune
from pipeline.models.files import pinned
from tests.support.builders import Checkpoint, make_checkpoint
from tests.support.chats import conversations, finetune_params, give_template, write_chats
from tests.support.hub_server import HubServer
from tests.support.hub_subjects import one_sentence, upload_subject


def declaring(checkpoint: Checkpoint, folder: Path, declared: str | None) -> str:
    """A copy of the adapter `general` that says it was made for another model."""
    shutil.copytree(checkpoint.adapter("general"), folder)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": declared}))
    return str(folder)


def test_another_model_of_the_same_shape_is_refused(checkpoint: Checkpoint, tmp_path: Path) -> None:
    other = make_checkpoint(tmp_path / "other", seed=7)
    message = one_sentence(lambda: checkpoint.manifest(model=str(other.base), aliases=()))
    assert message.startswith("The adapter 'general' (")
    assert (
        f"was made for {checkpoint.base}, but the model of profile 'tiny' is {other.base}, whose" in message
    )
    assert "whose files of weights are others; use that model (Instruct and base models differ)" in message


def test_a_copy_of_the_declared_base_is_the_same_model(checkpoint: Checkpoint, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.base, copy)
    checkpoint.manifest(model=str(copy), aliases=())
    # A copy is one by its weights, whatever lies beside them.
    (copy / "README.md").write_text("mine")
    (copy / "consolidated.00.safetensors").write_bytes(b"the same in another form, which nobody reads")
    assert (
        checkpoint.manifest(model=str(copy), aliases=()).base.fingerprint
        != checkpoint.manifest().base.fingerprint
    )


def test_an_adapter_that_says_nothing_is_taken(checkpoint: Checkpoint, tmp_path: Path) -> None:
    checkpoint.manifest(adapters={"general": declaring(checkpoint, tmp_path / "a", None)})


def test_an_alias_is_named_in_the_profile(checkpoint: Checkpoint, tmp_path: Path) -> None:
    adapters = {"general": declaring(checkpoint, tmp_path / "general", "unsloth/tiny")}
    for aliases in ((), ("unsloth/tin",)):
        message = one_sentence(
            lambda aliases=aliases: checkpoint.manifest(adapters=adapters, aliases=aliases)
        )
        assert "made for unsloth/tiny, but" in message
        assert "cannot be told without the hub; use that model" in message
        assert "to profiles.tiny.aliases in params.yaml." in message
    checkpoint.manifest(adapters=adapters, aliases=["else/where", "unsloth/tiny"])


def test_an_alias_of_the_same_weights_needs_no_name(
    hub: HubServer,
    checkpoint: Checkpoint,
    tmp_path: Path,
    offline: Callable[[], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    subject = upload_subject(hub, checkpoint)
    weights = (checkpoint.base / "model.safetensors").read_bytes()
    hub.upload("unsloth/tiny", {"model.safetensors": weights, "config.json": b"{}", "README.md": b"ours"})
    general = Path(declaring(checkpoint, tmp_path / "general", "unsloth/tiny"))
    hub.upload("some/general", general)
    hub.asked.clear()
    # Of a model here, and of one on the hub; the other copy is never fetched.
    for model in (str(checkpoint.base), "some/base"):
        checkpoint.manifest(**(subject | {"model": model}))
        assert f"'general' was made for unsloth/tiny: the same weights as {model}." in capsys.readouterr().out
    assert not [path for _, path in hub.asked if path.startswith("/unsloth/tiny/resolve")]
    # What was asked once is known without a network.
    online = checkpoint.manifest(**subject)
    offline()
    assert checkpoint.manifest(**subject) == online


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"model.safetensors": b"others", "config.json": b"{}"}, "whose files of weights are others"),
        ({"config.json": b"{}"}, "whether both are the same weights cannot be told from here"),
        ({"pytorch_model.bin": b""}, "whether both are the same weights cannot be told from here"),
        (None, "whether both are the same weights cannot be told from here"),
    ],
)
def test_other_weights_are_refused_before_any_are_fetched(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path, files: dict[str, bytes] | None, says: str
) -> None:
    subject = upload_subject(hub, checkpoint)
    if files is not None:
        hub.upload("unsloth/tiny", files)
    hub.upload("some/general", Path(declaring(checkpoint, tmp_path / "general", "unsloth/tiny")))
    message = one_sentence(lambda: checkpoint.manifest(**subject))
    assert "was made for unsloth/tiny, but the model of profile 'tiny' is some/base, " in message
    assert says in message
    fetched = {path.split("/")[-1] for method, path in hub.asked if method == "GET" and "/resolve/" in path}
    assert "adapter_model.safetensors" in fetched
    assert not fetched & {"model.safetensors", "layer_0.safetensors"}


def test_an_adapter_of_another_commit_is_told(hub: HubServer, checkpoint: Checkpoint, tmp_path: Path) -> None:
    # A base that is uploaded again after an adapter has been trained on it here.
    copy = Checkpoint(folder=tmp_path / "subject", declared=checkpoint.base)
    shutil.copytree(checkpoint.folder, copy.folder)
    give_template(copy.base)
    subject = upload_subject(hub, copy)
    base = pinned("some/base", None, "model")
    data = write_chats(tmp_path / "chats.jsonl", conversations(4))
    finetune = Finetune(
        name="mine", params=finetune_params(data, epochs=1, batch=4), base=base, dtype="float32"
    )
    run_finetune(finetune, tmp_path / "run", tmp_path / "adapter")
    trained = subject | {"adapters": {"general": str(tmp_path / "adapter")}}
    first = copy.manifest(**trained).base.revision
    same = hub.upload("some/base", hub.files("some/base", str(first)) | {"README.md": b"new"})
    assert copy.manifest(**trained).base.revision == same
    second = hub.upload("some/base", make_checkpoint(tmp_path / "other", seed=7).base)
    message = one_sentence(lambda: copy.manifest(**trained))
    assert f"was made for some/base@{first}, but the model of profile 'tiny' is some/base@{second}" in message
    assert message.endswith("; use that model, or train the adapter anew.")
