"""A prompt with the graphs that Compare shows of it: from the store, or traced live."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from dashboard.data import readers
from store.base.errors import NotInStoreError, StoreError
from store.documents.prompts import Prompt
from store.views.adapter import AdapterView
from store.views.graph import GraphView


@dataclass(frozen=True, kw_only=True)
class Case:
    """What Compare shows.

    Attributes
    ----------
    profile
        Name of the profile.
    prompt
        The prompt.
    pair
        Variants A and B.
    graphs
        Graphs by variant; one that was not traced is absent.
    live
        Whether they were traced just now, and are not in the store.
    adapters
        What adapters write to, by variant, of what was traced live.
    """

    profile: str
    prompt: Prompt
    pair: tuple[str, str]
    graphs: Mapping[str, GraphView]
    live: bool
    adapters: Mapping[str, AdapterView] = field(default_factory=dict)

    @property
    def views(self) -> list[GraphView]:
        """The pair's graphs, A first, each once."""
        return [self.graphs[variant] for variant in dict.fromkeys(self.pair) if variant in self.graphs]

    @property
    def labels(self) -> Mapping[int, str]:
        """Labels of tokens on this prompt; empty where nobody gave any."""
        try:
            return readers.labels(self.profile).of(self.prompt.hash, self.prompt.domain)
        except StoreError:
            return {}

    def adapter(self, variant: str) -> AdapterView:
        """What an adapted variant writes to on this prompt.

        Raises
        ------
        StoreError
            The store does not hold it (yet).
        """
        if self.live:
            return self.adapters[variant]
        return readers.adapter(self.profile, self.prompt.hash, variant)

    def targets(self, variant: str) -> pd.DataFrame:
        """Token and probability of all targets; the own candidates, or nothing, without a graph."""
        if variant in self.graphs:
            return self.graphs[variant].targets[["token", "probability"]]
        try:
            if not self.live:
                return readers.candidates(self.profile, self.prompt.hash, variant)
        except NotInStoreError:
            pass
        return pd.DataFrame({"token": pd.Series(dtype=int), "probability": pd.Series(dtype=float)})
