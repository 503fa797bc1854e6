"""The ``profiles`` section of ``params.yaml``, typed. Imports no torch."""

from pathlib import PurePath
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.params.chat import Chat
from pipeline.params.section import Name, Section, Size
from store.documents.variants import BASE

_LONGEST: Final = 255
"""Bytes of a file's name, on every file system that we know."""


def _is_path(text: str) -> str:
    if "\0" in text or any(len(part.encode("utf-8")) > _LONGEST for part in PurePath(text).parts):
        raise ValueError(f"no part of a path may be longer than {_LONGEST} bytes or hold a NUL character")
    return text


Place = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_is_path)]
"""Of a file or folder, from the project's root; or a name on the hub."""
Revision = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class Profile(Section):
    """One subject: a base model, its transcoders and its adapters; without any, base alone is studied."""

    model: Place
    revision: Revision | None = None
    transcoders: Place
    transcoders_revision: Revision | None = None
    adapters: dict[Name, Place] = Field(default_factory=dict)
    focus: str = BASE
    aliases: list[Place] = Field(default_factory=list)
    nulls: list[str] = Field(default_factory=list)
    dtype: Literal["float32", "bfloat16"] = "float32"
    prompts: list[Place] = Field(min_length=1)
    lexicon: Place | None = None
    texts: Place | None = None
    local: Place
    chat: Chat = Field(default_factory=dict)
    judges: list[str] = Field(default_factory=list)
    questions: list[Place] = Field(default_factory=list)
    answers: list[Place] = Field(default_factory=list)
    max_answer_tokens: Size | None = None
    answer_judges: list[str] = Field(default_factory=list)
    name_judges: list[str] = Field(default_factory=list)
    behaviours: dict[Name, Place] = Field(default_factory=dict)
    templates: Place | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        if self.focus not in (self.adapters or {BASE}):
            raise ValueError(f"focus '{self.focus}' is not one of its adapters {sorted(self.adapters)}")
        for name in self.nulls:
            if name not in self.adapters or name == self.focus:
                raise ValueError(
                    f"nulls: '{name}' must be one of its adapters, and not the focus; they are "
                    f"{sorted(self.adapters)}"
                )
        for where, judges in self.judging().items():
            if len(set(judges)) < len(judges):
                raise ValueError(f"{where}: a judge is named twice; name it once")
        if BASE in self.adapters:
            raise ValueError(f"an adapter cannot be named '{BASE}', which means the model itself")
        return self

    def judging(self) -> dict[str, list[str]]:
        """Names of judges by the parameter that lists them."""
        return {
            "judges": self.judges,
            "name_judges": self.name_judges,
            "answer_judges": self.answer_judges,
        }

    def sources(self) -> dict[str, str]:
        """Every source by the parameter that names it."""
        named = {"model": self.model, "transcoders": self.transcoders}
        named |= {f"adapters.{name}": source for name, source in self.adapters.items()}
        several = {"prompts": self.prompts, "questions": self.questions, "answers": self.answers}
        named |= {f"{key}[{i}]": source for key, of in several.items() for i, source in enumerate(of)}
        optional = {"lexicon": self.lexicon, "texts": self.texts, "templates": self.templates}
        named |= {f"behaviours.{name}": source for name, source in self.behaviours.items()}
        return named | {name: source for name, source in optional.items() if source is not None}
