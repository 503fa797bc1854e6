"""Units of work: what is computed together, once, by a pure function of its content key.

A stage says units and collections; an executor computes the units that the cache lacks. A unit
gives items of several kinds for several variants of one prompt, because they share a forward
pass, a target set or a node set.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from pipeline.items.closure import library_versions
from pipeline.items.code import QualifiedName, code_base
from store.base.hashing import digest
from store.collections.item import UNSTEERED, Item

if TYPE_CHECKING:
    from pipeline.models.pool import ModelPool
    from pipeline.params.runtime import RuntimeParams
    from store.documents.manifest import Manifest

Compute = Callable[["ModelPool", "Unit"], Iterator[tuple[str, Item]]]
"""A function at the top of a module: from models and a unit to (kind, item), one by one."""

ALWAYS: Final = (
    QualifiedName("pipeline.models.pool", "ModelPool"),
    QualifiedName("pipeline.run.determinism", "make_deterministic"),
    QualifiedName("pipeline.run.processes", "processes_worth"),
)
"""Code that takes part in every item: which weights, and what fixes their last bit."""


@dataclass(frozen=True, kw_only=True)
class ItemName:
    """What an item is called: its content key, and for which prompt, variant and setting it is."""

    key: str
    prompt_hash: str
    variant: str
    setting: str = UNSTEERED


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What is computed together.

    Attributes
    ----------
    key
        Content key, 64 hex digits over everything that determines the items (trap 15).
    compute
        Name of the function that gives the items, a `Compute` at the top of its module: another
        process finds it, and who has nothing to compute does not import it.
    prompt_hash, token_ids
        The prompt. What depends on no prompt has the hash of what it depends on, and no ids.
    variants
        Which weights take part.
    arguments
        Whatever else the computation reads, as JSON.
    outputs
        Kind and variant of the items that are wanted of it.
    settings
        What is done to the model while it runs: nothing, or the digests of recipes, which `arguments`
        hold. Every output is wanted under each.
    """

    key: str
    compute: QualifiedName
    prompt_hash: str
    token_ids: tuple[int, ...]
    variants: tuple[str, ...]
    arguments: Mapping[str, Any]
    outputs: tuple[tuple[str, str], ...]
    settings: tuple[str, ...] = (UNSTEERED,)

    def item(self, variant: str, setting: str = UNSTEERED) -> ItemName:
        """What its items of a variant are called; those of several kinds share the name."""
        parts = [self.key, variant, setting] if setting != UNSTEERED else [self.key, variant]
        return ItemName(key=digest(parts), prompt_hash=self.prompt_hash, variant=variant, setting=setting)

    def wanted(self) -> Iterator[tuple[str, ItemName]]:
        """Kind and name of every item that is wanted of it."""
        for kind, variant in self.outputs:
            for setting in self.settings:
                yield kind, self.item(variant, setting)

    def run(self, models: "ModelPool") -> Iterator[tuple[str, Item]]:
        """Compute: kind and item, one by one."""
        compute: Compute = getattr(import_module(self.compute.module), self.compute.name)
        return compute(models, self)


def make_unit(
    compute: QualifiedName,
    *,
    prompt_hash: str,
    token_ids: Sequence[int],
    variants: Sequence[str],
    outputs: Sequence[tuple[str, str]],
    arguments: Mapping[str, Any],
    manifest: "Manifest",
    runtime: "RuntimeParams",
    settings: Sequence[str] = (UNSTEERED,),
) -> Unit:
    """A unit with its content key: code, libraries, weights, seed, threads, prompt, arguments.

    Which of its items are wanted, and the order of the variants, are not in the key. What a setting does
    is, among the arguments.

    Raises
    ------
    UserError
        There is no such variant.
    """
    models = {name: manifest.fingerprint(manifest.variant(name)) for name in variants}
    key = digest(
        {
            "code": code_base().digest([compute, *ALWAYS]),
            "libraries": library_versions(),
            "models": models,
            "runtime": runtime.model_dump(),
            "prompt": {"hash": prompt_hash, "token_ids": list(token_ids)},
            "arguments": dict(arguments),
        }
    )
    return Unit(
        key=key,
        compute=compute,
        prompt_hash=prompt_hash,
        token_ids=tuple(token_ids),
        variants=tuple(variants),
        arguments=arguments,
        outputs=tuple(outputs),
        settings=tuple(settings),
    )
