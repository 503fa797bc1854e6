"""What attribution rows are contracted with: features, errors, tokens, constants, adapters.

Columns are circuit-tracer's: active features by layer and position, then errors likewise,
then tokens. A target reads from lower layers only, the first part of the features and of the
errors; what one (layer, position) writes is one contiguous block of features.
"""

from dataclasses import dataclass, field

import torch
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder

from pipeline.attribution.frozen import Pass
from pipeline.attribution.weights import attention_constants, projections
from pipeline.models.replacement import ReplacementModel
from store.base.errors import PromptError


@dataclass(frozen=True, kw_only=True)
class Block:
    """Columns of what is written at one (layer, position): ``[start, stop)``.

    Attributes
    ----------
    position
        Where.
    start, stop
        The columns.
    vectors
        What each of them writes there; (stop - start, d_model) float32.
    """

    position: int
    start: int
    stop: int
    vectors: torch.Tensor


@dataclass(frozen=True, kw_only=True)
class ExtraSources:
    """Further sources, at transcoder outputs and behind attention, with columns of their own.

    Attributes
    ----------
    mlp, attention
        Blocks by layer.
    n_columns
        Columns in all.
    """

    mlp: list[list[Block]]
    attention: list[list[Block]]
    n_columns: int


@dataclass(frozen=True, kw_only=True)
class Sources:
    """All sources of a prompt, and what targets read with.

    Attributes
    ----------
    features
        (active, 3) int64: layer, position, feature index; circuit-tracer's order.
    activations
        (active,), in the model's dtype.
    encoders
        (active, d_model) float32.
    errors
        (n_layers, n_pos, d_model) float32; 0 where features are zeroed.
    tokens
        (n_pos, d_model) float32.
    blocks
        By layer, what features write at the transcoder's output; columns are indices into
        `features`. A cross-layer transcoder's feature writes in several layers.
    features_below
        By layer of a target, how many features it can read from; one more entry for logits.
    constants
        By layer, what is written whatever features do: decoder bias, and the whole MLP
        output where features and errors are zeroed (the BOS position), without what the
        skip connection passes on; (n_layers, n_pos, d_model) float32.
    attention_constants
        The same behind attention: its biases; (n_layers, n_pos, d_model) float32 or None.
    extra
        Adapter nodes, if any.
    n_zeroed
        The first so many positions have no features and errors.
    """

    features: torch.Tensor
    activations: torch.Tensor
    encoders: torch.Tensor
    errors: torch.Tensor
    tokens: torch.Tensor
    blocks: list[list[Block]]
    features_below: list[int]
    constants: torch.Tensor
    attention_constants: torch.Tensor | None
    n_zeroed: int
    extra: ExtraSources = field(default_factory=lambda: ExtraSources(mlp=[], attention=[], n_columns=0))

    def width(self, layer: int) -> int:
        """Columns of a row of some layer, extra sources not counted: features, errors, tokens."""
        return self.features_below[layer] + (layer + 1) * len(self.tokens)


@torch.no_grad()
def collect_sources(model: ReplacementModel, seen: Pass) -> Sources:
    """Encode a forward pass: the active features, errors and constants of a prompt.

    Parameters
    ----------
    model
        Its transcoders encode.
    seen
        The forward pass.

    Raises
    ------
    UserError
        An activation, an error or a logit is not finite; the message says where it begins.
    """
    # A norm gives float32 whatever the model's dtype, and not every transcoder casts what it reads.
    read = seen.mlp_in.to(model.cfg.dtype)
    parts = model.transcoders.compute_attribution_components(read, model.zero_positions)
    matrix, reconstruction = parts["activation_matrix"], parts["reconstruction"]
    zeroed = model.zero_positions
    errors = seen.mlp_out - reconstruction.to(seen.mlp_in.dtype)
    errors[:, zeroed] = 0
    _require_finite(matrix, errors, seen.logits)
    n_layers, n_pos, _ = matrix.shape
    features = matrix.indices().T
    below = torch.bincount(features[:, 0], minlength=n_layers).cumsum(0)
    errors = errors.float()
    return Sources(
        features=features,
        activations=matrix.values(),
        encoders=parts["encoder_vecs"].float(),
        errors=errors,
        tokens=seen.embedding.float(),
        blocks=_blocks(
            parts["decoder_vecs"].float(),
            parts["encoder_to_decoder_map"],
            parts["decoder_locations"],
            features,
            (n_layers, n_pos),
        ),
        features_below=[0, *below.tolist()],
        constants=_constants(model, seen),
        attention_constants=attention_constants(seen, projections(model)),
        n_zeroed=zeroed.stop,
    )


def _blocks(
    vectors: torch.Tensor,
    feature_of: torch.Tensor,
    locations: torch.Tensor,
    features: torch.Tensor,
    shape: tuple[int, int],
) -> list[list[Block]]:
    """Blocks by layer of output, from each (layer, position) of features that write there."""
    n_layers, n_pos = shape
    at = features[:, 0] * n_pos + features[:, 1]
    blocks: list[list[Block]] = []
    for layer in range(n_layers):
        here = (locations[0] == layer).nonzero().squeeze(1)
        here = here[torch.argsort(feature_of[here], stable=True)]
        writers = feature_of[here]
        site, counts = torch.unique_consecutive(at[writers], return_counts=True)
        first = writers[counts.cumsum(0) - counts]
        # Lists at once: a number at a time, a GPU would be waited for at every site.
        numbers = zip(site.tolist(), first.tolist(), counts.tolist(), strict=True)
        pieces = vectors[here].split(counts.tolist())
        blocks.append(
            [
                Block(position=number % n_pos, start=start, stop=start + count, vectors=piece)
                for (number, start, count), piece in zip(numbers, pieces, strict=True)
            ]
        )
    return blocks


def _constants(model: ReplacementModel, seen: Pass) -> torch.Tensor:
    """Decoder biases, and the MLP output where features are zeroed."""
    bias = _decoder_biases(model)
    constants = bias[:, None].expand(seen.mlp_out.shape).float().clone()
    zeroed = model.zero_positions
    constants[:, zeroed] = seen.mlp_out[:, zeroed].float()
    if model.skip_transcoder:
        for layer in range(len(constants)):
            constants[layer, zeroed] -= model.transcoders.compute_skip(
                layer, seen.mlp_in[layer, zeroed].to(model.cfg.dtype)
            ).float()
    return constants


def _decoder_biases(model: ReplacementModel) -> torch.Tensor:
    """(n_layers, d_model): one transcoder a layer, or one for all."""
    transcoders = model.transcoders
    if isinstance(transcoders, CrossLayerTranscoder):
        return transcoders.b_dec.detach()
    return torch.stack([transcoder.b_dec.detach() for transcoder in transcoders])


def _require_finite(matrix: torch.Tensor, errors: torch.Tensor, logits: torch.Tensor) -> None:
    """Refuse NaN and infinity before they reach a loop that would not end (traps 4, 5)."""
    # (order in the forward pass, layer, position, what): the earliest is the cause.
    not_finite: list[tuple[int, int, int, str]] = []
    values = ~torch.isfinite(matrix.values())
    if values.any():
        layer, position, feature = matrix.indices()[:, int(values.nonzero()[0, 0])].tolist()
        not_finite.append((2 * layer, layer, position, f"the activation of feature L{layer}/{feature}"))
    wrong = (~torch.isfinite(errors)).any(-1)  # (n_layers, n_pos)
    if wrong.any():
        layer, position = wrong.nonzero()[0].tolist()
        what = "the MLP's output, or the transcoder's reconstruction of it,"
        not_finite.append((2 * layer + 1, layer, position, what))
    if not torch.isfinite(logits).all():
        n_layers, n_pos, _ = matrix.shape
        not_finite.append((2 * n_layers, n_layers, n_pos - 1, "a logit"))
    if not_finite:
        _, layer, position, what = min(not_finite)
        raise PromptError(
            f"At layer {layer}, position {position}, {what} is NaN or infinite; "
            "use dtype float32, and check the weights and transcoders of this profile.",
            layer=layer,
            position=position,
        )
