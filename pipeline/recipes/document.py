"""A recipe: weights, what is done to them, and what a person says of it."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from pipeline.interventions.entries import Entry, Index, entry, setting_digest
from pipeline.interventions.kinds import Setting, check
from pipeline.labels.events import Author, Text
from pipeline.text.json_lines import Line
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.variants import Variant

MAX_NAME: Final = 80
"""Characters of a recipe's name."""
MAX_WATCHED: Final = 12
"""Tokens that a recipe watches, at most."""

# As `store.schema.vocabulary.FROZEN`, written out for the type.
Still = Literal["nothing", "norms", "attention", "mlps", "everything"]


class Recipe(Line):
    """A recipe as its file says it.

    Attributes
    ----------
    name, note, author
        For people; they change no number.
    variant
        Which weights, `base` or an adapter at a scale.
    transcoders
        Fingerprint of the dictionary that the features are of, 64 hex digits.
    steps
        What is done, in order.
    frozen
        What stays as it is while the prompt is read.
    watch, continue_from
        Token ids: those that the Steering page watches, and the next token that it continues from. They
        change no number.
    """

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]
    variant: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    transcoders: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    author: Author
    note: Text = ""
    steps: Annotated[list[Entry], Field(min_length=1)]
    frozen: Still = "nothing"
    watch: list[Index] = Field(default_factory=list, max_length=MAX_WATCHED)
    continue_from: Index | None = None

    @field_validator("name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("a name is printable, of one line, and without space around it")
        return name

    @field_validator("variant")
    @classmethod
    def _is_a_variant(cls, variant: str) -> str:
        try:
            # Which adapters there are is the profile's to say: `require_possible`.
            return str(Variant.parse(variant, [variant.partition("@")[0]]))
        except UserError as error:
            raise ValueError(str(error).removesuffix(".")) from error

    @property
    def setting(self) -> Setting:
        """What is done."""
        return tuple(one.step for one in self.steps)

    @property
    def digest(self) -> str:
        """What is done is called so in the store, beside the variant; neither name nor note is in it."""
        return setting_digest(self.setting, self.transcoders, self.frozen)


def make_recipe(
    name: str, variant: str, setting: Setting, *, transcoders: str, author: str, **beside: Any
) -> Recipe:
    """A recipe of a setting; `beside` are further attributes of a `Recipe`.

    Raises
    ------
    ValidationError
        The name, the author or the note is none, or nothing is done.
    """
    return Recipe(
        name=name,
        variant=variant,
        transcoders=transcoders,
        author=author,
        steps=[entry(step) for step in setting],
        **beside,
    )


def is_of(recipe: Recipe, manifest: Manifest) -> bool:
    """Whether the recipe's features are of the profile's dictionary."""
    return recipe.transcoders == manifest.transcoders.fingerprint


def require_possible(recipe: Recipe, manifest: Manifest) -> None:
    """Refuse a recipe that the profile's models cannot follow.

    Positions are compared with the model's context here; whether a prompt has them is told a prompt,
    by `require_positions`.

    Raises
    ------
    UserError
        It is of another dictionary, of a variant that is not there, or names a feature, a layer, a
        direction or a token that the model does not have.
    """
    if not is_of(recipe, manifest):
        raise UserError(
            f"'transcoders': it is of another dictionary ({recipe.transcoders[:12]}) than the profile "
            f"{manifest.profile} has ({manifest.transcoders.fingerprint[:12]}), whose features of the same "
            "names are others; make it anew on the Steering page."
        )
    manifest.variant(recipe.variant)
    _check(recipe.setting, manifest, manifest.model.context)
    size = manifest.model.vocab_size
    asked = {"watch": recipe.watch, "continue_from": [recipe.continue_from or 0]}
    for key, tokens in asked.items():
        if beyond := [token for token in tokens if token >= size]:
            raise UserError(f"'{key}': there is no token {beyond[0]}; the model has tokens 0 to {size - 1}.")


def require_positions(setting: Setting, manifest: Manifest, token_ids: Sequence[int]) -> None:
    """Refuse a setting at positions that a prompt does not have.

    Raises
    ------
    UserError
        It names them.
    """
    _check(setting, manifest, len(token_ids))


def _check(setting: Setting, manifest: Manifest, prompt_length: int) -> None:
    check(
        setting,
        n_layers=manifest.model.n_layers,
        d_transcoder=manifest.model.d_transcoder,
        d_model=manifest.model.d_model,
        prompt_length=prompt_length,
    )
