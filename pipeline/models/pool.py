"""Load once: the tokenizer, the transcoders, and one variant at a time (trap 22)."""

import gc
from functools import cached_property

from circuit_tracer.transcoder import TranscoderSet
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.models.loading import (
    load_causal_lm,
    load_replacement,
    load_tokenizer,
    load_transcoders,
)
from pipeline.models.manifest import Manifest
from pipeline.models.replacement import ReplacementModel


class ModelPool:
    """Models of one manifest, loaded when first asked for.

    Only the variant asked for last is kept: ask variant by variant.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._replacement: tuple[str, ReplacementModel] | None = None
        self._causal_lm: tuple[str, PreTrainedModel] | None = None

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that all variants share."""
        return load_tokenizer(self.manifest)

    @cached_property
    def transcoders(self) -> TranscoderSet:
        """The transcoders that all variants share."""
        return load_transcoders(self.manifest)

    def replacement(self, variant: str) -> ReplacementModel:
        """A variant as circuit-tracer's replacement model."""
        if self._replacement is None or self._replacement[0] != variant:
            self._replacement = None
            gc.collect()  # models hold reference cycles; free one before the next is loaded
            model = load_replacement(
                self.manifest, self.manifest.variant(variant), transcoders=self.transcoders
            )
            self._replacement = (variant, model)
        return self._replacement[1]

    def causal_lm(self, variant: str) -> PreTrainedModel:
        """A variant as a Hugging Face model."""
        if self._causal_lm is None or self._causal_lm[0] != variant:
            self._causal_lm = None
            gc.collect()
            model = load_causal_lm(self.manifest, self.manifest.variant(variant))
            self._causal_lm = (variant, model)
        return self._causal_lm[1]
