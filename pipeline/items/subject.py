"""What every stage downstream of `models` works on: manifest, prompts, models, cache, failures."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.items.cache import chosen_cache
from pipeline.items.code import QualifiedName
from pipeline.items.collect import Places, collect, finished
from pipeline.items.executor import Executor
from pipeline.items.executors import executor_of, resolved
from pipeline.items.model_source import ModelSource
from pipeline.items.provenance import provenance
from pipeline.items.units import ItemName, Unit, make_unit
from pipeline.params.runtime import RuntimeParams
from pipeline.run.stage import CACHE, artifacts
from store.collections.item import UNSTEERED, Item
from store.documents.failures import Failure, write_failures
from store.documents.manifest import read_manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.variants import BASE
from store.schema.specs import CollectionSchema

if TYPE_CHECKING:
    from pipeline.models.pool import ModelPool


class Subject:
    """A profile's models and prompts, and how its items are computed.

    Parameters
    ----------
    profile
        Name of the profile.
    runtime
        What fixes the last bit, which is part of every key, and who computes.
    """

    def __init__(self, profile: str, runtime: RuntimeParams) -> None:
        self.folder: Path = artifacts(profile)
        self.runtime = resolved(runtime)
        self.manifest = read_manifest(self.folder / "models.json")
        self.cache = chosen_cache(CACHE)
        self.source = ModelSource(manifest=self.manifest, runtime=self.runtime)

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        """By hash; a stage of open questions, which reads none, need not run again for one more."""
        return {prompt.hash: prompt for prompt in read_prompts(self.folder / "prompts.json")}

    @property
    def models(self) -> "ModelPool":
        """The models, and what fixes their last bit; a stage that has all its items never asks."""
        return self.source()

    @property
    def executor(self) -> Executor:
        """Who computes units of this subject."""
        return self.executor_in(1)

    def executor_in(self, rounds: int) -> Executor:
        """The same, for so many rounds of about as much work."""
        return executor_of(self.source, rounds)

    @property
    def variants(self) -> list[str]:
        """Base, then every adapter at scale 1, by name."""
        adapters = sorted(self.manifest.adapters)
        return [BASE, *(str(self.manifest.variant(name)) for name in adapters)]

    @property
    def focus(self) -> str:
        """The variant that is compared with base on every prompt; base itself where there is no adapter."""
        return str(self.manifest.variant(self.manifest.focus))

    @property
    def pair(self) -> list[str]:
        """What is traced on every prompt: base and the focus variant, or base alone."""
        return list(dict.fromkeys((BASE, self.focus)))

    @property
    def uncompared(self) -> str:
        """Why there is no variant to compare with base, for a stage that does; empty where there is one."""
        if self.focus != BASE:
            return ""
        return f"profile {self.manifest.profile} has no adapter, so that base is compared with nothing"

    def unit(
        self,
        compute: QualifiedName,
        prompt: Prompt,
        variants: Sequence[str],
        outputs: Sequence[tuple[str, str]],
        arguments: Mapping[str, Any],
        settings: Sequence[str] = (UNSTEERED,),
    ) -> Unit:
        """A unit of work on one prompt; see `pipeline.items.units.Unit`."""
        return make_unit(
            compute,
            prompt_hash=prompt.hash,
            token_ids=prompt.token_ids,
            variants=variants,
            outputs=outputs,
            arguments=arguments,
            manifest=self.manifest,
            runtime=self.runtime,
            settings=settings,
        )

    def item(self, unit: Unit, kind: str, name: ItemName) -> Item | None:
        """An item of a unit that was computed, once more if need be (`collect.finished`); None: it fails."""
        return finished(unit, kind, name, self.source, self.cache)[0]

    def publish(
        self,
        stage: str,
        units: Sequence[Unit],
        schemas: Sequence[CollectionSchema],
        parameters: Mapping[str, Mapping[str, Any]],
        places: Places = MappingProxyType({}),
        executor: Executor | None = None,
    ) -> list[Failure]:
        """Compute units and publish their collections; see `pipeline.items.collect.collect`.

        Parameters
        ----------
        stage
            The stage that asks; written into the provenance.
        units, schemas
            What is computed, and what is published of it.
        parameters
            Sections of ``params.yaml`` that the stage reads, by name.
        places
            Folder of a kind, where it has another name than the kind.
        executor
            Who computes, if not the subject's own.
        """
        return collect(
            units,
            schemas,
            folder=self.folder,
            provenance=provenance(stage, self.manifest, parameters),
            models=self.source,
            cache=self.cache,
            places=places,
            executor=executor or self.executor,
        )

    def write_failures(self, stage: str, failures: Sequence[Failure]) -> None:
        """Write ``failures/<stage>.json``, which pages show."""
        write_failures(self.folder / "failures" / f"{stage}.json", failures)
