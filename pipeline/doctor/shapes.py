"""Sizes of a subject, from configurations and headers: what memory and time are reckoned with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from transformers import PretrainedConfig, PreTrainedModel

from pipeline.models.loading import DTYPES
from pipeline.models.transcoders import TranscoderFacts


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a base model, its transcoders and its adapters.

    Attributes
    ----------
    n_layers, d_model, d_mlp, n_heads, n_key_heads, d_head, vocabulary
        Of the base.
    tied
        Whether embedding and unembedding are one matrix, which is two in the replacement model.
    n_parameters
        Weights of the base, a tied one counted once.
    largest
        Weights of the largest of the base's matrices.
    itemsize, stored
        Bytes of a number in the profile's dtype, and in the base's files.
    d_transcoder
        Features of a layer.
    cross_layer
        Whether they write in later layers, too.
    n_adapters
        Adapters of the profile.
    changed
        Weights of the modules that any adapter changes.
    """

    n_layers: int
    d_model: int
    d_mlp: int
    n_heads: int
    n_key_heads: int
    d_head: int
    vocabulary: int
    tied: bool
    n_parameters: int
    largest: int
    itemsize: int
    stored: int
    d_transcoder: int
    cross_layer: bool = False
    n_adapters: int
    changed: int

    @property
    def replacement(self) -> int:
        """Bytes of the replacement model, without transcoders."""
        return self.itemsize * (self.n_parameters + (self.vocabulary * self.d_model if self.tied else 0))

    @property
    def kept(self) -> int:
        """Bytes kept beside a model that is switched: the base's exact weights of changed modules."""
        return max(self.itemsize, self.stored) * self.changed

    @property
    def encoders(self) -> int:
        """Bytes of them."""
        return self.n_layers * self.d_model * self.d_transcoder * self.itemsize

    @property
    def dictionary(self) -> int:
        """Bytes of encoders and decoders."""
        layers = self.n_layers
        decoders = layers * (layers + 1) // 2 if self.cross_layer else layers
        return self.encoders + decoders * self.d_model * self.d_transcoder * self.itemsize


def shape_of(
    empty: PreTrainedModel,
    facts: TranscoderFacts,
    targets: Collection[Collection[str]],
    *,
    dtype: str,
) -> Shape:
    """The shape of a subject.

    Parameters
    ----------
    empty
        The base without its weights (`pipeline.models.base_forms.empty_model`).
    facts
        Of its transcoders.
    targets
        Names of the modules that each adapter changes.
    dtype
        Of the profile.
    """
    config: PretrainedConfig = empty.config
    weights = {name: tensor.numel() for name, tensor in empty.state_dict().items()}
    stored = config.dtype if isinstance(config.dtype, torch.dtype) else torch.float32
    heads = config.num_attention_heads
    return Shape(
        n_layers=config.num_hidden_layers,
        d_model=config.hidden_size,
        d_mlp=config.intermediate_size,
        n_heads=heads,
        n_key_heads=config.num_key_value_heads,
        d_head=getattr(config, "head_dim", None) or config.hidden_size // heads,
        vocabulary=config.vocab_size,
        tied=bool(config.tie_word_embeddings),
        n_parameters=empty.num_parameters(),
        largest=max(weights.values()),
        itemsize=DTYPES[dtype].itemsize,
        stored=stored.itemsize,
        d_transcoder=facts.d_transcoder,
        cross_layer=facts.cross_layer,
        n_adapters=len(targets),
        changed=_changed(weights, targets),
    )


def _changed(weights: Mapping[str, int], targets: Collection[Collection[str]]) -> int:
    modules = {module for of_one in targets for module in of_one}
    return sum(weights.get(f"{module}.weight", 0) for module in modules)
