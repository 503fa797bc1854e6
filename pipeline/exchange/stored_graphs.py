"""Where a profile's graphs stand: those the pipeline traced, and those that were imported."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np

from pipeline.labels.feature_names import given_names
from pipeline.labels.journal import read_events
from pipeline.labels.judged_names import JudgedName, judged_names
from pipeline.params.project import Params
from pipeline.run.stage import artifacts
from store.base.errors import ArtifactMissingError, NotInStoreError, UserError
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset
from store.documents.manifest import Manifest, read_manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.split_characters import replaced
from store.documents.token_texts import read_token_texts, token_text
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from store.schema.names import NAMES

IMPORTED: Final = "imported"
"""Folder below a profile's artifacts: collections of graphs that came from elsewhere."""


class StoredGraphs:
    """Graphs of one profile, with what people call them; imports no torch.

    Parameters
    ----------
    profile
        Name of the profile.
    imported
        Those that were imported, instead of those that the pipeline traced.
    """

    def __init__(self, profile: str, *, imported: bool = False) -> None:
        self.profile = profile
        self.imported = imported
        self.folder = artifacts(profile)
        self._home = self.folder / IMPORTED if imported else self.folder

    @cached_property
    def manifest(self) -> Manifest:
        """The profile's models."""
        return read_manifest(self.folder / "models.json")

    @cached_property
    def graphs(self) -> Collection:
        """The collection of graphs.

        Raises
        ------
        ArtifactMissingError
            There is none yet.
        """
        return self._open(GRAPHS.kind)

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """The profile's prompts by hash; imported graphs may be of others."""
        return {prompt.hash: prompt for prompt in read_prompts(self.folder / "prompts.json")}

    @cached_property
    def vocabulary(self) -> list[str]:
        """Text of every token id."""
        return read_token_texts(self.folder / "vocabulary.json")

    def given_names(self) -> dict[tuple[int, int], str]:
        """Names that people gave features, by (layer, feature)."""
        return given_names(read_events(), self.manifest.transcoders.fingerprint)

    def judged_names(self) -> dict[tuple[int, int], JudgedName]:
        """Names that judges gave features and that hold; none before the stage `names` has run."""
        try:
            return judged_names(open_dataset(self.folder / NAMES.kind, "names"))
        except ArtifactMissingError:
            return {}

    def variant(self, text: str) -> str:
        """A variant's full name: ``general`` is ``general@1.0``, unless it was imported as such."""
        return text if self.imported else str(self.manifest.variant(text))

    def item(self, prompt_hash: str, variant: str) -> Item:
        """One graph.

        Raises
        ------
        UserError
            It is not here; says where it is, or what is here.
        """
        if (prompt_hash, variant) in self.graphs:
            return self.graphs.item_on_demand(prompt_hash, variant)
        if self.imported:
            held = ", ".join(f"{prompt} {name}" for prompt, name in self.pairs()[:5])
            raise UserError(
                f"No graph of prompt {prompt_hash}, {variant} was imported; there are {held} "
                f"(`python -m store list {self.graphs.path}` lists all)."
            )
        other = StoredGraphs(self.profile, imported=True)
        if other.holds(prompt_hash, variant):
            raise UserError(f"The graph of prompt {prompt_hash}, {variant} was imported; add --imported.")
        return self.graphs.item_on_demand(prompt_hash, variant)  # which says what there is

    def holds(self, prompt_hash: str, variant: str) -> bool:
        """Whether a graph is here."""
        try:
            return (prompt_hash, variant) in self.graphs
        except ArtifactMissingError:
            return False

    def full(self, item: Item, params: Params) -> Item:
        """The full adjacency of a graph.

        Raises
        ------
        UserError
            The policy did not keep it (says how to), or it is of another run.
        """
        who = f"prompt {item.prompt_hash}, {item.variant}"
        try:
            full = self._open(FULL_GRAPHS.kind).item(item.prompt_hash, item.variant)
        except NotInStoreError:
            raise UserError(
                f"The full adjacency of {who} is not stored; give the prompt the tag "
                f"`{params.graphs.full_tag}` in its file (with `graphs.full: tagged`), or set "
                "`graphs.full: always` in params.yaml, and run `dvc repro`."
            ) from None
        if full.key != item.key:
            raise UserError(f"Graph and full adjacency of {who} are of different runs; run `dvc repro`.")
        return full

    def pairs(self, prompts: Sequence[str] = (), variants: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Prompts and variants of the graphs here, base first; all, or the named ones.

        Raises
        ------
        UserError
            A prompt or variant is named that has no graph.
        """
        wanted = [self.variant(name) for name in variants]
        every = [(prompt, name) for prompt in self.graphs.prompts() for name in self.graphs.variants(prompt)]
        chosen = [
            (prompt, name)
            for prompt, name in every
            if (not prompts or prompt in prompts) and (not wanted or name in wanted)
        ]
        absent = set(prompts) - {prompt for prompt, _ in chosen} or set(wanted) - {name for _, name in chosen}
        if absent:
            raise UserError(
                f"There is no graph of {', '.join(sorted(absent))}; "
                f"`python -m store list {self.graphs.path}` lists those there are."
            )
        return sorted(chosen, key=lambda pair: (pair[0], pair[1] != "base", pair[1]))

    def text(self, item: Item) -> str:
        """The prompt of a graph as it was tokenized, or as its file had it."""
        if item.prompt_hash in self.prompts:
            return self.prompts[item.prompt_hash].text
        return str(self.origin(item)["facts"]["input_string"])

    def tokens(self, item: Item) -> list[str]:
        """Texts of a graph's tokens."""
        return self._texts(item.arrays["token"])

    def targets(self, item: Item) -> list[str]:
        """Texts of a graph's attribution targets."""
        if self.imported:
            texts: list[str] = self.origin(item)["facts"]["target_words"]
            return texts
        return self._texts(item.arrays["target_token"])

    def _texts(self, tokens: np.ndarray) -> list[str]:
        """As other tools have them: they know no ``⟨C3⟩``."""
        return [replaced(token_text(self.vocabulary, token)) for token in tokens.tolist()]

    def origin(self, item: Item) -> dict[str, Any]:
        """What the import wrote down of a graph: its file, and what its items do not hold."""
        entry: dict[str, Any] = self.graphs.provenance["files"][origin_name(item.prompt_hash, item.variant)]
        return entry

    def _open(self, kind: str) -> Collection:
        try:
            return open_collection(self._home / kind)
        except ArtifactMissingError:
            if not self.imported:
                raise
            raise ArtifactMissingError(
                f"Nothing has been imported into profile {self.profile}; "
                f"`python -m pipeline.exchange import FILE.pt --profile {self.profile}` does."
            ) from None


def origin_name(prompt_hash: str, variant: str) -> str:
    """Under which an imported graph's origin stands in its collection's provenance."""
    return f"{prompt_hash} {variant}"
