"""The ``profiles`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Literal

from pydantic import Field, model_validator

from pipeline.params.section import Name, Section


class Profile(Section):
    """One subject: a base model, its transcoders and its adapters."""

    model: str
    revision: str | None = None
    transcoders: str
    transcoders_revision: str | None = None
    adapters: dict[Name, str] = Field(min_length=1)
    focus: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    prompts: list[str] = Field(min_length=1)
    lexicon: str | None = None
    texts: str | None = None
    local: str

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        if self.focus not in self.adapters:
            raise ValueError(f"focus '{self.focus}' is not one of its adapters {sorted(self.adapters)}")
        if "base" in self.adapters:
            raise ValueError("an adapter cannot be named 'base', which means the model itself")
        return self

    def sources(self) -> dict[str, str]:
        """Every source by the parameter that names it."""
        named = {"model": self.model, "transcoders": self.transcoders}
        named |= {f"adapters.{name}": source for name, source in self.adapters.items()}
        named |= {f"prompts[{i}]": source for i, source in enumerate(self.prompts)}
        optional = {"lexicon": self.lexicon, "texts": self.texts}
        return named | {name: source for name, source in optional.items() if source is not None}
