"""Files of templates: situations, and prompts with a place for them; ``inputs/prompts/README.md`` has all."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.params.discover import Kind
from pipeline.text.json_lines import Message
from store.base.errors import UserError
from store.base.parsing import MalformedError, one_line, parse_yaml, read_text
from store.documents.discovery import Draft

_PLACES: Final = ("{situation}", "{Situation}")
"""Where a situation goes: as it is, and with a capital letter in front."""

Word = Annotated[str, Field(min_length=1, max_length=10_000)]


class Entry(BaseModel):
    """Templates of one kind and domain, and what they are filled with; each prompt is a text or messages."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Kind
    domain: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    held_out: bool = False
    situations: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=1000)], Word], Field(min_length=1)
    ]
    prompts: Annotated[list[Word | Annotated[list[Message], Field(min_length=1)]], Field(min_length=1)]

    @model_validator(mode="after")
    def _places(self) -> "Entry":
        for prompt in self.prompts:
            words = prompt if isinstance(prompt, str) else "".join(turn.content for turn in prompt)
            if not any(place in words for place in _PLACES):
                raise ValueError("every prompt needs a place {situation} or {Situation}")
        return self

    def drafts(self) -> Iterator[Draft]:
        """Every situation in every prompt."""
        for name, situation in self.situations.items():
            for prompt in self.prompts:
                about = Draft(situation=name, domain=self.domain, held_out=self.held_out)
                if isinstance(prompt, str):
                    yield about.model_copy(update={"prompt": _filled(prompt, situation)})
                else:
                    turns = ({"role": t.role, "content": _filled(t.content, situation)} for t in prompt)
                    yield about.model_copy(update={"messages": tuple(turns)})


_ENTRIES: Final = TypeAdapter(Annotated[list[Entry], Field(min_length=1)])


def read_templates(path: Path) -> list[Entry]:
    """Entries of a file of templates (YAML).

    Raises
    ------
    UserError
        It is missing or malformed; the message names the file and what is wrong.
    """
    try:
        return _ENTRIES.validate_python(parse_yaml(read_text(path)))
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; create it, or correct `templates` of the profile in params.yaml (the "
            "organism's own is made by `dvc repro materials`)."
        ) from error
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        what = one_line(first["msg"].removeprefix("Value error, "))
        raise UserError(
            f"{path}: {one_line(where)}: {what}; write entries with kind, situations and prompts, as "
            "inputs/prompts/README.md has them."
        ) from error


def _filled(template: str, situation: str) -> str:
    """Not by `str.format`: braces may stand in a prompt."""
    plain, capital = _PLACES
    return template.replace(capital, f"{situation[:1].upper()}{situation[1:]}").replace(plain, situation)
