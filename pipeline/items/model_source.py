"""Where units get their models: loaded once a process, and only where there is something to compute."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeline.params.runtime import RuntimeParams
from pipeline.run.lean_imports import without_unused
from pipeline.run.processes import processes_worth
from store.documents.manifest import Manifest

if TYPE_CHECKING:
    from pipeline.models.pool import ModelPool

Models = Callable[[], "ModelPool"]
"""Gives the models; called only where there is something to compute, for they import torch."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The models of a manifest, and what fixes their last bit; can be given to other processes."""

    manifest: Manifest
    runtime: RuntimeParams

    def __call__(self) -> "ModelPool":
        """The models, loaded at the first call."""
        return self._pool

    @cached_property
    def _pool(self) -> "ModelPool":
        with without_unused():
            from pipeline.models.pool import ModelPool
        from pipeline.run.determinism import make_deterministic

        make_deterministic(self.runtime.seed, self.runtime.threads // self.processes)
        return ModelPool(self.manifest)

    @property
    def loaded(self) -> bool:
        """Whether somebody here has asked for them."""
        return "_pool" in self.__dict__

    @property
    def processes(self) -> int:
        """How many processes the units are worth."""
        return processes_worth(self.manifest.model.d_model, self.runtime.threads)

    def __getstate__(self) -> dict[str, Any]:
        """What another process is given: it loads its own."""
        return {"manifest": self.manifest, "runtime": self.runtime}
