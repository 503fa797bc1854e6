"""bfloat16 profiles: every kind of transcoder at every hook is traced; rows add up to a percent or two."""

import pytest
import torch

from pipeline.attribution.frozen import run_forward
from pipeline.models.transcoder_forms import INPUT_HOOKS
from tests.support.builders import Checkpoint
from tests.support.subjects import KINDS, TARGETS, Case, centred, graph_rows, make_adapted, row_sums

HALF = 0.02
"""Of the sum of absolute terms; in float32 it is 1e-4."""


@pytest.fixture(scope="module", params=["llama", "gemma2"])
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return make_adapted(tmp_path_factory.mktemp("half") / request.param, request.param)


@pytest.mark.parametrize("hook", INPUT_HOOKS)
@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"behind the norm"}))
def test_rows_add_up_nearly(adapted: Checkpoint, kind: str, hook: str) -> None:
    case = Case.of(adapted, kind, dtype="bfloat16", hooks=(hook, "hook_mlp_out"))
    together = case.together("base", "stabilised")
    for trace in together.traces.values():
        rows = graph_rows(trace)[-len(TARGETS) :]
        gap = (row_sums(trace)[-len(TARGETS) :] - centred(trace.raw_logits)).abs()
        assert float((gap / rows.abs().sum(1)).max()) < HALF
        assert float(rows.abs().sum()) > 0


def test_a_skip_connection_keeps_the_dtype(adapted: Checkpoint) -> None:
    # What a norm gives is float32; the residual stream behind the skip connection is the model's.
    case = Case.of(adapted, "skip", dtype="bfloat16", hooks=("ln2.hook_normalized", "hook_mlp_out"))
    seen = run_forward(case.pool.replacement("base"), torch.tensor(case.ids))
    assert seen.mlp_in.dtype == torch.float32
    assert seen.mlp_out.dtype == torch.bfloat16
