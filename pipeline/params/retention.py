"""The ``retention`` section of ``params.yaml``, typed. Imports no torch."""

from pydantic import Field

from pipeline.params.section import Section


class RetentionParams(Section):
    """What ``python -m pipeline.cache sweep`` leaves in the item cache, whoever refers to it.

    Attributes
    ----------
    days
        An item that was written less than so many days ago stays: a run that was interrupted goes on from it.
    """

    days: float = Field(ge=0, le=36_500)
