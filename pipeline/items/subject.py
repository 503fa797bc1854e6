"""What every stage downstream of `models` works on: manifest, prompts, models, cache."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.items.cache import ItemCache
from pipeline.items.keys import content_key, item_key
from pipeline.items.requests import Request
from pipeline.models.pool import ModelPool
from pipeline.params.project import Params
from pipeline.run.stage import CACHE, artifacts
from store.documents.manifest import read_manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.variants import BASE

ALWAYS: Final = ("pipeline.models.pool", "pipeline.run.determinism")
"""Modules that take part in every item: which weights, and what fixes their last bit."""


class Subject:
    """A profile's models and prompts, and how its items are requested."""

    def __init__(self, profile: str, params: Params, code: tuple[str, ...]) -> None:
        """`code`: the modules whose import closures determine this stage's items."""
        self.folder: Path = artifacts(profile)
        self.runtime = params.runtime
        self.manifest = read_manifest(self.folder / "models.json")
        self.prompts: dict[str, Prompt] = {
            prompt.hash: prompt for prompt in read_prompts(self.folder / "prompts.json")
        }
        self.models = ModelPool(self.manifest)
        self._code = (*code, *ALWAYS)

    @property
    def variants(self) -> list[str]:
        """Base, then every adapter at scale 1, by name."""
        adapters = sorted(self.manifest.adapters)
        return [BASE, *(str(self.manifest.variant(name)) for name in adapters)]

    @property
    def focus(self) -> str:
        """The variant that is compared with base on every prompt."""
        return str(self.manifest.variant(self.manifest.focus))

    def cache(self, kind: str) -> ItemCache:
        """Finished items of one kind."""
        return ItemCache(CACHE / kind)

    def request(self, kind: str, variant: str, prompt: Prompt, parameters: Mapping[str, Any]) -> Request:
        """The request for one item: everything that determines it is in its key."""
        key = item_key(kind, prompt=prompt, parameters=parameters, **self._which(variant))
        return Request(key=key, prompt_hash=prompt.hash, variant=variant)

    def key(self, kind: str, variant: str, parameters: Mapping[str, Any]) -> str:
        """Content key of what a variant gives that depends on no prompt."""
        return content_key(kind, parameters=parameters, **self._which(variant))

    def _which(self, variant: str) -> dict[str, Any]:
        return {
            "code": self._code,
            "manifest": self.manifest,
            "variant": self.manifest.variant(variant),
            "runtime": self.runtime,
        }
