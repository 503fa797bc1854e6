"""What a stage says when it cannot go on: one sentence, a non-zero exit code."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.items.closure import ROOT

STAGE = """
import errno, os, sys
from pipeline.params.{section} import {model}
from pipeline.run.stage import run_stage
from store.base.errors import ArtifactMissingError, UserError

def main(profile, params):
    raise {error}

run_stage(main, {model})
"""


def _run(
    error: str, profile: str = "organism", *, section: str = "project", model: str = "Params"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STAGE.format(error=error, section=section, model=model), profile],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        ('UserError("Mend line 3.")', 1, "Error: Mend line 3."),
        ('ArtifactMissingError("No graphs yet.")', 1, "Error: No graphs yet."),
        ('OSError(errno.ENOSPC, "No space left")', 1, "Error: the disk is full"),
        ("KeyboardInterrupt()", 130, "Interrupted; what was finished is kept"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(error: str, code: int, says: str) -> None:
    done = _run(error)
    assert done.returncode == code
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    done = _run('ZeroDivisionError("bug")')
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_an_unknown_profile_is_named() -> None:
    done = _run("SystemExit", profile="nobody")
    assert done.returncode == 1
    assert "There is no profile 'nobody'" in done.stderr


def test_an_unknown_organism_is_named_by_a_training_stage() -> None:
    done = _run("SystemExit", profile="nobody", section="training", model="TrainingParams")
    assert done.returncode == 1
    assert "There is no organism 'nobody'" in done.stderr


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
