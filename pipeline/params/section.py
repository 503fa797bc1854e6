"""What every section of ``params.yaml`` is made of. Imports no torch."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

# Upper bounds lie far above what a machine can do and below what makes it fail without a word.
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Size = Annotated[int, Field(ge=1, le=65_536)]  # of what is in memory at once
Seed = Annotated[int, Field(ge=0, lt=2**32)]
# Becomes a folder below artifacts/, so no separators and no leading dot.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
Tag = Annotated[str, Field(min_length=1, max_length=100)]


class Section(BaseModel):
    """Unknown and mistyped parameters are refused, not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
