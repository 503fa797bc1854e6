"""The ``runtime`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Section, Seed

ExecutorName = Literal["local", "processes", "dask"]


class Workers(Section):
    """How many compute at once; written as a number, or as a range.

    Attributes
    ----------
    minimum, maximum
        Where they differ, there are as many of Dask's workers here as there is work for: so many at least,
        also while nothing is to be done, and at most. Processes are as many as the maximum.
    """

    minimum: int = Field(ge=0, le=1024)
    maximum: int = Field(ge=1, le=1024)

    @model_validator(mode="before")
    @classmethod
    def _number(cls, said: object) -> object:
        """A number is a range from itself to itself."""
        return {"minimum": said, "maximum": said} if type(said) is int else said

    @model_validator(mode="after")
    def _in_order(self) -> "Workers":
        if self.minimum > self.maximum:
            raise ValueError("minimum must not exceed maximum")
        return self


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
        Who computes; in no key. ``EMC_EXECUTOR`` and ``EMC_WORKERS`` of the environment go before them.
    """

    seed: Seed
    threads: int = Field(ge=1, le=1024)
    device: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(None, exclude_if=_unsaid)
    mix: bool = Field(False, exclude_if=_unsaid)
    executor: ExecutorName = Field("local", exclude=True)
    workers: Workers = Field(Workers(minimum=2, maximum=2), exclude=True)
    scheduler: Annotated[str, Field(pattern=r"^[a-z]+://\S+$", max_length=300)] | None = Field(
        None, exclude=True
    )
