"""The declared reading of the hooks wins where it is the true one, and is refused where another is."""

from itertools import product
from pathlib import Path

import pytest

from pipeline.doctor.findings import Verdict
from pipeline.doctor.readings import Readings, read_every_way
from pipeline.doctor.subject_checks import hook_findings
from pipeline.models.transcoder_forms import INPUT_HOOKS, OUTPUT_HOOKS
from tests.support.builders import Checkpoint, make_checkpoint
from tests.support.hooked import base_of, declare, plant

IDS = [1, *range(40, 60)]


@pytest.fixture(scope="module", params=["llama", "qwen3", "gemma3"])
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Checkpoint]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, make_checkpoint(folder / "subject", architecture=request.param)


@pytest.mark.parametrize("truth", list(product(INPUT_HOOKS, OUTPUT_HOOKS)), ids=" to ".join)
def test_the_true_reading_wins_by_far(planted: tuple[str, Checkpoint], truth: tuple[str, str]) -> None:
    architecture, checkpoint = planted
    plant(checkpoint, *truth, IDS)
    right = read_every_way(base_of(checkpoint), IDS)
    assert right.best == right.declared == truth
    assert right.typical(truth) < 1e-6
    assert right.explains
    assert right.is_clear
    assert [each.verdict for each in hook_findings(right)] == [Verdict.OK]
    # Both names of what an MLP writes mean the same where no norm lies behind it.
    assert len(right.unexplained) == (6 if architecture == "gemma3" else 3)
    other = next(name for name in INPUT_HOOKS if name != truth[0])
    declare(checkpoint.transcoders, other, truth[1])
    wrong = read_every_way(base_of(checkpoint), IDS)
    (told,) = hook_findings(wrong)
    assert told.verdict is Verdict.FAIL
    assert f"{truth[0]} to {truth[1]} 0.0%; correct the hooks" in told.said


def test_of_another_model_no_reading_explains_anything(tmp_path: Path) -> None:
    (told,) = hook_findings(read_every_way(base_of(make_checkpoint(tmp_path)), IDS))
    assert told.verdict is Verdict.FAIL
    assert "no other reading less; are these transcoders of this model" in told.said


@pytest.mark.parametrize(
    ("declared", "other", "verdict"),
    [
        ([0.1, 0.1], [0.2, 0.2], Verdict.OK),
        ([0.1, 0.1], [0.11, 0.11], Verdict.NOTE),
        ([0.11, 0.11], [0.1, 0.1], Verdict.NOTE),
        ([0.2, 0.2], [0.1, 0.1], Verdict.FAIL),
        ([0.95, 0.95], [2.0, 2.0], Verdict.FAIL),
        ([0.02, 0.5], [0.1, 0.6], Verdict.OK),  # the geometric mean: no one layer decides
    ],
)
def test_what_is_clear(declared: list[float], other: list[float], verdict: Verdict) -> None:
    a, b = ("mlp.hook_in", "mlp.hook_out"), ("hook_resid_mid", "mlp.hook_out")
    (told,) = hook_findings(Readings(declared=a, unexplained={a: declared, b: other}))
    assert told.verdict is verdict
