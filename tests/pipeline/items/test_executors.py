"""Who computes is said by params or the environment, and changes nothing of what is computed."""

import pytest

from pipeline.items import executors
from pipeline.items.executors import resolved
from pipeline.params.runtime import RuntimeParams
from store.base.errors import UserError

PLAIN = RuntimeParams(seed=0, threads=2)
AT = "tcp://host:8786"


@pytest.mark.parametrize(
    ("said", "executor", "scheduler"),
    [
        ("", "processes", None),
        ("local", "local", None),
        ("dask", "dask", None),
        (f" {AT} ", "dask", AT),
    ],
)
def test_the_environment_goes_before_params(said: str, executor: str, scheduler: str | None) -> None:
    found = resolved(PLAIN.model_copy(update={"executor": "processes"}), {"EMC_EXECUTOR": said})
    assert (found.executor, found.scheduler) == (executor, scheduler)
    assert found.model_dump() == PLAIN.model_dump(), "no key depends on it"


def test_another_word_is_refused_in_one_sentence() -> None:
    with pytest.raises(UserError, match="EMC_EXECUTOR is 'slurm' in the environment, but who computes"):
        resolved(PLAIN, {"EMC_EXECUTOR": "slurm"})


@pytest.mark.parametrize(
    ("here", "said", "dumped"),
    [
        ("cpu", {}, {}),
        ("cpu", {"device": "cpu"}, {}),
        ("cpu", {"device": "NVIDIA H200"}, {"device": "NVIDIA H200"}),
        ("NVIDIA H200", {}, {"device": "NVIDIA H200"}),
        ("NVIDIA H200", {"device": "cpu"}, {}),
        ("NVIDIA H200", {"mix": True}, {"mix": True}),
    ],
)
def test_keys_name_the_class_of_a_device_that_is_no_cpu(
    monkeypatch: pytest.MonkeyPatch, here: str, said: dict[str, object], dumped: dict[str, object]
) -> None:
    monkeypatch.setattr(executors, "device_class", lambda: here)
    assert resolved(PLAIN.model_copy(update=said), {}).model_dump() == {"seed": 0, "threads": 2, **dumped}
