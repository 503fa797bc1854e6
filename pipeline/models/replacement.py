"""circuit-tracer's replacement model, told to take ids as they are and to keep its rows.

Three differences from circuit-tracer 0.5.0, none of which changes a number beyond the
last bits: token ids are never touched (it prepends a special token where it sees none,
trap 8); the attribution context keeps what `attribute` computes and then drops (logits,
rows of unselected features); and direct effects are contracted position by position, a
matrix product, where it gathers a (batch, active, d_model) tensor a layer.
"""

import weakref
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
from circuit_tracer.attribution.context_transformerlens import AttributionContext
from circuit_tracer.replacement_model.replacement_model_transformerlens import (
    TransformerLensReplacementModel,
)
from circuit_tracer.transcoder import TranscoderSet
from transformer_lens.hook_points import HookPoint
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.errors import UserError
from pipeline.models.architectures import lens_config, lens_weights

_KEPT_FIELDS: Final = (
    "activation_matrix",
    "error_vectors",
    "token_vectors",
    "decoder_vecs",
    "encoder_vecs",
    "encoder_to_decoder_map",
    "decoder_locations",
    "logits",
)


class RecordingContext(AttributionContext):
    """An attribution context that contracts faster and keeps the logit rows.

    Attributes
    ----------
    logit_rows
        Rows of the targets before features are selected, (target, active + errors +
        tokens), in the order of the targets.
    raw_logits
        Logits at the last position before any softcap, (vocab,), float32.
    """

    def __init__(self, raw_logits: torch.Tensor, **fields: torch.Tensor) -> None:
        super().__init__(**fields)
        self.raw_logits = raw_logits
        self.logit_rows: list[torch.Tensor] = []

    def compute_batch(
        self,
        layers: torch.Tensor,
        positions: torch.Tensor,
        inject_values: torch.Tensor,
        retain_graph: bool = True,
    ) -> torch.Tensor:
        """Rows of a batch of nodes; those of logits are kept."""
        rows = super().compute_batch(layers, positions, inject_values, retain_graph)
        if bool((layers == self.n_layers).all()):
            self.logit_rows.append(rows.detach().to("cpu", torch.float32))
        return rows

    def _compute_score_hook(
        self,
        hook_name: str,
        output_vecs: torch.Tensor,
        write_index: Any,
        read_index: Any = np.s_[:],
    ) -> tuple[str, Callable[[torch.Tensor, HookPoint], None]]:
        if not isinstance(write_index, torch.Tensor):  # error and token nodes: one a position
            return super()._compute_score_hook(hook_name, output_vecs, write_index, read_index)
        # Active features are sorted by layer, position, feature: each (layer, position) is a
        # block of rows, and its scores are decoder (n, d_model) @ gradient (d_model, batch).
        positions, counts = torch.unique_consecutive(read_index[1], return_counts=True)
        ends = counts.cumsum(0).tolist()
        first = int(write_index[0])
        blocks = list(zip(positions.tolist(), [0, *ends[:-1]], ends, strict=True))
        proxy = weakref.proxy(self)

        def contract(grads: torch.Tensor, hook: HookPoint) -> None:
            grads = grads.to(output_vecs.dtype)
            for position, start, end in blocks:
                proxy._batch_buffer[first + start : first + end] += (
                    output_vecs[start:end] @ grads[:, position].T
                )

        return hook_name, contract


class ReplacementModel(TransformerLensReplacementModel):
    """A replacement model built from the very weights of a Hugging Face model."""

    last_context: RecordingContext | None = None

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

    def setup_attribution(self, inputs: str | torch.Tensor) -> RecordingContext:
        """Forward pass of one prompt: activations, errors, logits; all checked to be finite.

        Raises
        ------
        UserError
            Something is not finite (the message names layer and position), or there is
            nothing behind the first token.
        """
        tokens = self.ensure_tokenized(inputs)
        if len(tokens) < 2:
            raise UserError("A prompt needs at least one token behind its BOS; this one has none.")
        raw: list[torch.Tensor] = []

        def grab(logits: torch.Tensor, hook: HookPoint) -> None:
            raw.append(logits[0, -1].detach().float())

        with self.hooks(fwd_hooks=[("unembed.hook_post", grab)]):
            plain = super().setup_attribution(tokens)
        fields = {name: getattr(plain, name) for name in _KEPT_FIELDS}
        # Probabilities are softmaxes of these: never in bfloat16 (trap 18).
        fields["logits"] = fields["logits"].float()
        context = RecordingContext(raw[0], **fields)
        require_finite(context)
        self.last_context = context
        return context

    def take_context(self) -> RecordingContext:
        """The context of the last `attribute`, which this model then forgets."""
        context, self.last_context = self.last_context, None
        if context is None:
            raise RuntimeError("nothing has been attributed yet")
        return context

    def count_hooks(self) -> int:
        """Hooks in place, permanent ones included; the same before and after any use."""
        points = self.hook_dict.values()
        return sum(len(point.fwd_hooks) + len(point.bwd_hooks) for point in points)


def build_replacement(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    transcoders: TranscoderSet,
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
    config = lens_config(model, name, model.dtype, model.device)
    replacement = ReplacementModel(config)
    with torch.no_grad():
        replacement.load_and_process_state_dict(
            lens_weights(model, config),
            fold_ln=False,
            center_writing_weights=False,
            center_unembed=False,
        )
    # Neither set_tokenizer nor a name in the configuration at first: TransformerLens would
    # load another tokenizer by name and change its special tokens.
    replacement.tokenizer = tokenizer
    replacement.cfg.tokenizer_name = name
    tokenizer.padding_side = "right"
    replacement._configure_replacement_model(transcoders)
    return replacement.eval()


def require_fitting(model: PreTrainedModel, transcoders: TranscoderSet) -> None:
    """Refuse transcoders of another model.

    Raises
    ------
    UserError
        Layers or width differ.
    """
    config = model.config
    if len(transcoders) != config.num_hidden_layers:
        raise UserError(
            f"The transcoders ({transcoders.scan}) have {len(transcoders)} layers, the model has "
            f"{config.num_hidden_layers}; use the transcoders that were trained on this model."
        )
    for layer, transcoder in enumerate(transcoders):
        if transcoder.d_model != config.hidden_size:
            raise UserError(
                f"The transcoder of layer {layer} ({transcoders.scan}) has width {transcoder.d_model}, "
                f"the model has {config.hidden_size}; use the transcoders that were trained on it."
            )


def require_finite(context: AttributionContext) -> None:
    """Refuse NaN and infinity before they reach a loop that would not end (traps 4, 5).

    Raises
    ------
    UserError
        The message names what is not finite, and the first layer and position of it.
    """
    # (order in the forward pass, layer, position, what): the earliest is the cause.
    found: list[tuple[int, int, int, str]] = []
    values = ~torch.isfinite(context.activation_matrix.values())
    if values.any():
        first = context.activation_matrix.indices()[:, int(values.nonzero()[0, 0])]
        layer, position, feature = first.tolist()
        found.append((2 * layer, layer, position, f"the activation of feature L{layer}/{feature}"))
    errors = (~torch.isfinite(context.error_vectors)).any(-1)  # (n_layers, n_pos)
    if errors.any():
        layer, position = errors.nonzero()[0].tolist()
        what = "the MLP's output, or the transcoder's reconstruction of it,"
        found.append((2 * layer + 1, layer, position, what))
    logits = (~torch.isfinite(context.logits[0])).any(-1)  # (n_pos,)
    if logits.any():
        position = int(logits.nonzero()[0, 0])
        found.append((2 * context.n_layers, context.n_layers, position, "a logit"))
    if found:
        _, layer, position, what = min(found)
        raise UserError(
            f"At layer {layer}, position {position}, {what} is NaN or infinite; "
            "use dtype float32, and check the weights and transcoders of this profile."
        )
