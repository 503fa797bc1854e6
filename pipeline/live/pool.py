"""One loaded base that steering, tracing and every session share, set to a variant when it is run."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final

from transformers import PreTrainedTokenizerBase

from pipeline.interventions.engine import SteeringEngine
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from pipeline.text.tokens import encode_text
from store.documents.manifest import Manifest, read_manifest

_AT_ROOT: Final = threading.RLock()
"""Held where the working folder, which belongs to the whole process, is the project's root."""


class LiveSubject:
    """A variant for live steering.

    Attributes
    ----------
    engine
        Steers it.
    tokenizer
        Of the base model.
    n_parameters
        Of the model; small ones run fastest on one thread.
    n_layers, zeroed
        Of the model, and its first positions at which no feature is active (trap 9).
    """

    def __init__(self, pool: "LivePool", variant: str) -> None:
        turn = _Turn(pool, variant)
        with turn:
            replacement = pool.replacement(variant)
        self.engine = SteeringEngine(replacement, lock=turn)
        self.tokenizer = pool.tokenizer
        self.n_parameters = pool.manifest.model.n_parameters
        self.n_layers = pool.manifest.model.n_layers
        self.zeroed = int(replacement.zero_positions.stop)

    def encode(self, text: str) -> tuple[int, ...]:
        """Token ids of a typed prompt, made as stored ones are: BOS in front."""
        return encode_text(self.tokenizer, text)


class LivePool:
    """The variants of one manifest, made of one loaded base; safe between threads.

    Parameters
    ----------
    manifest
        ``models.json`` of a profile.
    root
        Root of the project, which local folders in the manifest are relative to.

    Attributes
    ----------
    lock
        Held by whoever runs the model: its weights, hooks and caches are one variant's at a time.

    Raises
    ------
    store.base.errors.StoreError
        The manifest is missing or of another version.
    """

    def __init__(self, manifest: Path, root: Path = Path()) -> None:
        self.lock = threading.RLock()
        self._models = ModelPool(read_manifest(manifest))
        self._root = root
        self._subjects: dict[str, LiveSubject] = {}

    @property
    def manifest(self) -> Manifest:
        """What the models are."""
        return self._models.manifest

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that all variants share; UserError where it cannot be loaded."""
        with self.lock, self._at_root():
            return self._models.tokenizer

    def name(self, variant: str) -> str:
        """A variant's name as stores have it; UserError lists those there are."""
        return str(self.manifest.variant(variant))

    def replacement(self, variant: str) -> ReplacementModel:
        """The one model, set to a variant; whoever runs it holds `lock` from here on.

        Raises
        ------
        UserError
            There is no such variant, or its files are unreadable or do not fit.
        """
        with self.lock, self._at_root():
            return self._models.replacement(variant)

    def subject(self, variant: str) -> LiveSubject:
        """A variant for steering; errors as `replacement`."""
        name = self.name(variant)
        with self.lock:
            if name not in self._subjects:
                self._subjects[name] = LiveSubject(self, name)
            return self._subjects[name]

    @contextlib.contextmanager
    def alone(self) -> Iterator[ModelPool]:
        """The models for somebody who sets the variants; nobody else runs them meanwhile.

        Only variants that `replacement` was asked for before: no file is read here.
        """
        with self.lock:
            yield self._models

    @contextlib.contextmanager
    def _at_root(self) -> Iterator[None]:
        with _AT_ROOT, contextlib.chdir(self._root):
            yield


class _Turn:
    """A lock that gives its holder the model with one variant's weights."""

    def __init__(self, pool: LivePool, variant: str) -> None:
        self._pool, self._variant = pool, variant

    def __enter__(self) -> None:
        self._pool.lock.acquire()
        try:
            self._pool.replacement(self._variant)
        except BaseException:
            self._pool.lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.lock.release()
