"""Load once: the tokenizer, the transcoders, and one base that any variant is made of (trap 22)."""

from collections.abc import Mapping
from functools import cached_property

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.models.deltas import Delta
from pipeline.models.dictionaries import Transcoders
from pipeline.models.loading import load_switchable, load_transcoders
from pipeline.models.replacement import ReplacementModel
from pipeline.models.switching import SwitchableModel, SwitchableReplacement
from pipeline.models.tokenizer import load_tokenizer
from store.documents.manifest import Manifest


class ModelPool:
    """Models of one manifest, loaded when first asked for; for one thread at a time.

    There is one model of each kind, and it has the weights of the variant that was asked for
    last: ask, use, and ask again. Its earlier weights were replaced, not written to, so what
    was made of them (activations, linear maps that hold them) stays true.
    """

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer that all variants share."""
        return load_tokenizer(self.manifest)

    @cached_property
    def transcoders(self) -> Transcoders:
        """The transcoders that all variants share."""
        return load_transcoders(self.manifest)

    def replacement(self, variant: str) -> ReplacementModel:
        """The replacement model with a variant's weights, ``general@0.5`` for one.

        Raises
        ------
        UserError
            There is no such variant, or its files are unreadable or do not fit.
        """
        return self._replacement.set(self.manifest.variant(variant))

    def causal_lm(self, variant: str) -> PreTrainedModel:
        """The Hugging Face model with a variant's weights; errors as `replacement`."""
        return self._causal_lm.set(self.manifest.variant(variant))

    def factors(self, variant: str) -> Mapping[str, Delta]:
        """What a variant's adapter changes by module; base has none. Errors as `replacement`."""
        return self._replacement.factors(self.manifest.variant(variant))

    @cached_property
    def _replacement(self) -> SwitchableReplacement:
        source = load_switchable(self.manifest, self.manifest.deltas)
        return SwitchableReplacement(source, self.tokenizer, self.transcoders)

    @cached_property
    def _causal_lm(self) -> SwitchableModel:
        return load_switchable(self.manifest, self.manifest.deltas)
