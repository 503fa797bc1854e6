"""The ``runtime`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.params.section import Section, Seed

ExecutorName = Literal["local", "processes", "dask"]


def _unsaid(value: object) -> bool:
    return not value


class RuntimeParams(Section):
    """What fixes the last bit, and who computes, which changes none.

    Attributes
    ----------
    seed, threads, device, mix
        With the machine they fix the last bit: they are in every key and in provenance. A device class and
        `mix` are there only where they are said, so a CPU's keys name none.
    executor, workers, scheduler
        Who computes; in no key. The environment variable ``EMC_EXECUTOR`` goes before them.
    """

    seed: Seed
    threads: int = Field(ge=1, le=1024)
    device: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(None, exclude_if=_unsaid)
    mix: bool = Field(False, exclude_if=_unsaid)
    executor: ExecutorName = Field("local", exclude=True)
    workers: int = Field(2, ge=1, le=1024, exclude=True)
    scheduler: Annotated[str, Field(pattern=r"^[a-z]+://\S+$", max_length=300)] | None = Field(
        None, exclude=True
    )
