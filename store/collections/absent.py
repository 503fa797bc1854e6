"""What is said of an item, or an array, that a collection does not hold."""

from collections.abc import Iterable
from pathlib import Path

from store.base.errors import OLDER
from store.collections.item import UNSTEERED, Identity
from store.schema.specs import CollectionSchema


def absent(path: Path, who: Identity, identities: Iterable[Identity], n_prompts: int) -> str:
    """The sentence about an item, or a whole prompt, that is not among those that a collection holds.

    Parameters
    ----------
    path
        The collection's folder.
    who
        What was asked for.
    identities, n_prompts
        What it holds.
    """
    held = {other.variant: None for other in identities if other.prompt_hash == who.prompt_hash}
    of_prompt = f"of prompt {who.prompt_hash}"
    if who.variant in held:
        under = f"setting {who.setting}" if who.setting != UNSTEERED else "no setting"
        return f"{path} holds no item {of_prompt}, {who.variant} under {under}."
    if held:
        return f"{path} holds no variant {who.variant} {of_prompt}; it holds {', '.join(held)}."
    return (
        f"{path} holds no prompt {who.prompt_hash} (it holds {n_prompts}); add it to a prompt file, run "
        "`dvc repro`."
    )


def no_array(path: Path, name: str, schema: CollectionSchema, version: int) -> str:
    """The sentence about an array that items of a collection of this format version lack."""
    if name in schema.arrays:
        return f"{path} holds no array {name}: {OLDER}"
    if name in schema.former:
        return f"{path} holds no array {name}: version {version} has it no more."
    return f"{path} holds no array {name}; it holds {', '.join(schema.at(version).arrays)}."
