"""Who computes is said by params or the environment, and changes nothing of what is computed."""

import pytest
from pydantic import ValidationError

from pipeline.items import executors
from pipeline.items.executors import resolved
from pipeline.params.runtime import RuntimeParams, Workers
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
    ("said", "minimum", "maximum"), [("", 3, 3), ("4", 4, 4), (" 1-8 ", 1, 8), ("0-2", 0, 2)]
)
def test_the_number_of_workers_is_said_by_params_or_the_environment(
    said: str, minimum: int, maximum: int
) -> None:
    written = RuntimeParams.model_validate({"seed": 0, "threads": 2, "workers": 3})
    found = resolved(written, {"EMC_WORKERS": said})
    assert found.workers == Workers(minimum=minimum, maximum=maximum)
    assert found.model_dump() == PLAIN.model_dump(), "no key depends on it"


@pytest.mark.parametrize("said", ["0", "many", "8-1", "1-", "-1", "1-2-3", "99999", "2000"])
def test_no_number_of_workers_is_refused_in_one_sentence(said: str) -> None:
    with pytest.raises(UserError, match=rf"EMC_WORKERS is '{said}' in the environment, but it is a number"):
        resolved(PLAIN, {"EMC_WORKERS": said})


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (0, "greater than or equal to 1"),
        (True, "valid dictionary"),
        ({"minimum": 3, "maximum": 2}, "minimum must not exceed maximum"),
        ({"minimum": 1}, "Field required"),
        ({"minimum": 1, "maximum": 2000}, "less than or equal to 1024"),
    ],
)
def test_workers_are_a_number_or_a_range(said: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RuntimeParams.model_validate({"seed": 0, "threads": 1, "workers": said})


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
