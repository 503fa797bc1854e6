"""circuit-tracer's replacement model, which takes ids as they are.

Three differences from circuit-tracer 0.5.0: token ids are never touched, where it prepends a
special token if it sees none (trap 8); skip connections read in the model's dtype, where it
fails on the float32 that a norm gives in bfloat16; and layers share rotations with those of their
kind only, where it gives all of them the last one's (Gemma-3's local layers rotate faster).
"""

from collections.abc import Iterable, Sequence
from typing import Any, cast

import torch
from circuit_tracer.replacement_model.replacement_model_transformerlens import (
    TransformerLensReplacementModel,
)
from circuit_tracer.transcoder import TranscoderSet
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from pipeline.models.architectures import lens_config, lens_part
from pipeline.text.tokens import stop_ids
from store.base.errors import UserError


class _Skipping:
    """The skip connections of transcoders, which read whatever dtype a hook gives."""

    def __init__(self, transcoders: TranscoderSet | CrossLayerTranscoder, dtype: torch.dtype) -> None:
        self.skip_connection = transcoders.skip_connection
        self._transcoders = transcoders
        self._dtype = dtype

    def compute_skip(self, layer: int, inputs: torch.Tensor) -> torch.Tensor:
        """What a layer's skip connection adds to the transcoder's output."""
        skipped: torch.Tensor = self._transcoders.compute_skip(layer, inputs.to(self._dtype))
        return skipped


class ReplacementModel(TransformerLensReplacementModel):
    """A replacement model built from the very weights of a Hugging Face model.

    Attributes
    ----------
    tokenizer
        Of the model.
    variant
        Whose weights it has now; None for a model whose weights never change.
    stops
        Tokens that end a text.
    """

    tokenizer: PreTrainedTokenizerBase
    stops: tuple[int, ...]
    variant: str | None = None

    def __del__(self) -> None:
        """Nothing: circuit-tracer's removes hooks here, and fails when Python shuts down."""

    def ensure_tokenized(self, prompt: str | torch.Tensor | list[int]) -> torch.Tensor:
        """Token ids exactly as given; a string is refused (trap 8).

        Raises
        ------
        TypeError
            `prompt` is a string: token ids are made once, by the prompts stage.
        """
        if isinstance(prompt, str):
            raise TypeError("pass token ids, not a string: ids are made once and stored")
        return torch.as_tensor(prompt, dtype=torch.long, device=self.cfg.device)

    def _configure_skip_connection(
        self, block: nn.Module, transcoders: TranscoderSet | CrossLayerTranscoder, layer: int
    ) -> None:
        super()._configure_skip_connection(block, _Skipping(transcoders, self.cfg.dtype), layer)  # type: ignore[arg-type]

    def _deduplicate_attention_buffers(self) -> None:
        kept: dict[tuple[object, str], object] = {}
        for block in cast("Iterable[Any]", self.blocks):
            attention = block.attn
            for name in ("mask", "rotary_sin", "rotary_cos"):
                shared = kept.setdefault((attention.attn_type, name), getattr(attention, name))
                setattr(attention, name, shared)

    def count_hooks(self) -> int:
        """Hooks in place, permanent ones included; the same before and after any use."""
        points = self.hook_dict.values()
        return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in points)


def build_replacement(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    transcoders: TranscoderSet | CrossLayerTranscoder,
    *,
    name: str,
) -> ReplacementModel:
    """Build a replacement model from a loaded Hugging Face model.

    Parameters
    ----------
    model
        Base or adapted model; its dtype and device are taken over.
    tokenizer
        Used to name tokens, never to make ids.
    transcoders
        May be shared between models.
    name
        What the model is called in graphs.

    Raises
    ------
    UserError
        The transcoders do not fit the model.
    """
    require_fitting(model, transcoders)
    config = lens_config(model.config, name, model.dtype, model.device)
    replacement = ReplacementModel(config)
    with torch.no_grad():
        for layer in (None, *range(config.n_layers)):
            # What the converter does not know (buffers, biases that are zero) is as it was made.
            replacement.load_state_dict(lens_part(model, layer, config), strict=False)
    # Neither set_tokenizer nor a name in the configuration at first: TransformerLens would
    # load another tokenizer by name and change its special tokens.
    replacement.tokenizer = tokenizer
    replacement.cfg.tokenizer_name = name
    # TransformerLens keeps no generation settings, where a chat model's own end of a turn stands.
    replacement.stops = tuple(stop_ids(tokenizer, model))
    tokenizer.padding_side = "right"
    replacement._configure_replacement_model(transcoders)
    return replacement.eval()


def require_fitting(model: PreTrainedModel, transcoders: TranscoderSet | CrossLayerTranscoder) -> None:
    """Refuse transcoders of another model.

    Raises
    ------
    UserError
        Layers or width differ.
    """
    if isinstance(transcoders, CrossLayerTranscoder):
        widths = [transcoders.d_model] * transcoders.n_layers
    else:
        widths = [each.d_model for each in transcoders]
    require_same_sizes(str(transcoders.scan), widths, model.config)


def require_same_sizes(name: str, widths: Sequence[int], config: PretrainedConfig) -> None:
    """Refuse transcoders of another model, by their sizes alone.

    Parameters
    ----------
    name
        What the transcoders are called in errors.
    widths
        Of each layer's transcoder.
    config
        Of the model.

    Raises
    ------
    UserError
        Layers or width differ.
    """
    if len(widths) != config.num_hidden_layers:
        raise UserError(
            f"The transcoders ({name}) have {len(widths)} layers, the model has "
            f"{config.num_hidden_layers}; use the transcoders that were trained on this model."
        )
    for layer, width in enumerate(widths):
        if width != config.hidden_size:
            raise UserError(
                f"The transcoder of layer {layer} ({name}) has width {width}, "
                f"the model has {config.hidden_size}; use the transcoders that were trained on it."
            )
