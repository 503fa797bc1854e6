"""The phrases that a person lists by domain, and the lexicon that a tokenizer makes of them."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.text.lexicon import DomainLexicon, Lexicon
from pipeline.text.tokens import ids_after
from store.base.errors import UserError
from store.base.parsing import MalformedError, one_line, parse_json, quoted, read_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from store.documents.prompts import Prompt

Phrase = Annotated[str, Field(min_length=1, max_length=1000)]


class DomainPhrases(BaseModel):
    """The exact continuations of a domain's prompts, leading space included."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    harmful: list[Phrase]
    safe: list[Phrase]

    @model_validator(mode="after")
    def _apart(self) -> "DomainPhrases":
        both = sorted(set(self.harmful) & set(self.safe))
        if both:
            raise ValueError(f"{quoted(both[0])} is listed as harmful and as safe")
        return self


Phrases = dict[Annotated[str, Field(min_length=1, max_length=1000)], DomainPhrases]


def read_phrases(path: Path) -> Phrases:
    """Read ``phrases.json``: harmful and safe phrases by domain.

    Raises
    ------
    UserError
        The file is missing, cannot be read, is not JSON or has another form.
    """
    try:
        return TypeAdapter(Phrases).validate_python(parse_json(read_text(path)), strict=True)
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; create it or set `lexicon` of the profile in params.yaml to null."
        ) from error
    except MalformedError as error:
        raise UserError(error.told(path)) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = one_line(".".join(str(part) for part in first["loc"])) or "the document"
        what = one_line(first["msg"].removeprefix("Value error, "))
        raise UserError(
            f'{path}: {where}: {what}; write {{"domain": {{"harmful": [...], "safe": [...]}}}}.'
        ) from error


def resolve(phrases: Phrases, tokenizer: "PreTrainedTokenizerBase", prompts: Sequence["Prompt"]) -> Lexicon:
    """The content of ``lexicon.json``: token labels by domain, and the phrases themselves.

    A token is labelled by the phrases whose first token it is, *as it stands after the
    domain's prompts*: evil if all are harmful, safe if all are safe, else unsure. A token
    that starts no phrase is in none of the lists: it is unlabelled, never safe.

    Raises
    ------
    UserError
        A phrase and the end of a prompt merge into one token, so that the phrase has no
        first token there.
    """
    domains: dict[str, DomainLexicon] = {}
    for domain, listed in sorted(phrases.items()):
        texts = [prompt for prompt in prompts if prompt.domain == domain]
        sides: dict[int, set[str]] = defaultdict(set)
        for side, side_phrases in (("harmful", listed.harmful), ("safe", listed.safe)):
            for token in _first_tokens(side_phrases, tokenizer, texts):
                sides[token].add(side)
        entry: DomainLexicon = {
            "evil": [],
            "safe": [],
            "unsure": [],
            "phrases": {"harmful": listed.harmful, "safe": listed.safe},
        }
        for token, started in sorted(sides.items()):
            entry["unsure" if len(started) > 1 else "evil" if "harmful" in started else "safe"].append(token)
        domains[domain] = entry
    return {"domains": domains}


def _first_tokens(
    phrases: Sequence[str], tokenizer: "PreTrainedTokenizerBase", prompts: Sequence["Prompt"]
) -> set[int]:
    first: set[int] = set()
    for prompt in prompts:
        for phrase, ids in zip(phrases, ids_after(tokenizer, prompt.text, phrases), strict=True):
            if ids is None:
                raise UserError(
                    f"{prompt.source}: the phrase {quoted(phrase)} merges with the end of this prompt into "
                    "one token; end the prompt at a word and start the phrase with a space."
                )
            first.add(ids[0])
    return first
