"""What a stage says when it cannot go on: one sentence, a non-zero exit code."""

import errno
import os
from pathlib import Path

import pytest

from pipeline.items.closure import ROOT
from tests.support.forked import Ended, forked

IMPORTS = """
import errno, os, sys
from pipeline.params.project import Params
from pipeline.params.training import TrainingParams
from pipeline.run.determinism import make_deterministic
from pipeline.run.stage import run_stage
from store.base.errors import ArtifactMissingError, UserError

make_deterministic(0, 1)  # its own imports too
"""
STAGE = """
def main(profile, params):
    raise {error}

sys.argv = ["stage", "{profile}"]
run_stage(main, {model})
"""
MENDED = {
    'UserError("Mend line 3.")': (1, "Error: Mend line 3."),
    'ArtifactMissingError("No graphs yet.")': (1, "Error: No graphs yet."),
    'OSError(errno.ENOSPC, "No space left")': (1, "Error: the disk is full"),
    "KeyboardInterrupt()": (130, "Interrupted; what was finished is kept"),
}
"""Errors of a stage, with its exit code and how its sentence begins."""
BUG = 'ZeroDivisionError("bug")'


@pytest.fixture(scope="module")
def ended() -> dict[str, Ended]:
    """How a stage ended, by its error or by what kind of name it does not know."""
    stages = {
        error: STAGE.format(error=error, profile="organism", model="Params") for error in (*MENDED, BUG)
    }
    for kind, model in (("profile", "Params"), ("organism", "TrainingParams")):
        stages[kind] = STAGE.format(error="SystemExit", profile="nobody", model=model)
    return forked(stages, imports=IMPORTS, folder=ROOT, environment={})


@pytest.mark.parametrize("error", MENDED)
def test_what_a_user_can_mend_is_one_sentence(ended: dict[str, Ended], error: str) -> None:
    code, says = MENDED[error]
    done = ended[error]
    assert done.code == code
    assert done.errors.startswith(says)
    assert done.errors.count("\n") == 1


def test_a_bug_keeps_its_traceback(ended: dict[str, Ended]) -> None:
    done = ended[BUG]
    assert done.code == 1
    assert "Traceback" in done.errors


@pytest.mark.parametrize("kind", ["profile", "organism"])
def test_an_unknown_name_is_told(ended: dict[str, Ended], kind: str) -> None:
    done = ended[kind]
    assert done.code == 1
    assert f"There is no {kind} 'nobody'" in done.errors


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.items.cache import ItemCache
    from tests.support.items import KEY, small_item

    cache = ItemCache(tmp_path)

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            cache.put("graphs", small_item())
    assert not cache.holds("graphs", KEY)
    cache.put("graphs", small_item())
    assert cache.get("graphs", KEY) is not None
