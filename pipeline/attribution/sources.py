"""What attribution rows are contracted with: features, errors, tokens, constants, adapters.

Columns are in the order of the forward pass: tokens, then by layer and position the active
features and the error. What a target of some layer can read from is then a prefix of the
columns, and each (layer, position) one contiguous block of them.
"""

from dataclasses import dataclass, field

import torch

from pipeline.attribution.frozen import Pass
from pipeline.attribution.weights import attention_constants, projections
from pipeline.errors import UserError
from pipeline.models.replacement import ReplacementModel


@dataclass(frozen=True, kw_only=True)
class Block:
    """Columns that one (layer, position) writes: ``[start, stop)``.

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
        By layer, what is written at the transcoder's output. A cross-layer transcoder's
        feature has one column and writes in several layers.
    feature_column, error_column
        Column of each active feature, and of each error, (n_layers, n_pos); tokens come first.
    prefix
        By layer of a target, how many columns it can read from; one more entry for logits.
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
    feature_column: torch.Tensor
    error_column: torch.Tensor
    prefix: list[int]
    constants: torch.Tensor
    attention_constants: torch.Tensor | None
    n_zeroed: int
    extra: ExtraSources = field(default_factory=lambda: ExtraSources(mlp=[], attention=[], n_columns=0))

    @property
    def n_columns(self) -> int:
        """Columns, those of extra sources not counted."""
        return self.prefix[-1]


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
    parts = model.transcoders.compute_attribution_components(seen.mlp_in, model.zero_positions)
    matrix, reconstruction = parts["activation_matrix"], parts["reconstruction"]
    zeroed = model.zero_positions
    errors = seen.mlp_out - reconstruction
    errors[:, zeroed] = 0
    _require_finite(matrix, errors, seen.logits)
    n_layers, n_pos, _ = matrix.shape
    features = matrix.indices().T
    device = errors.device
    at = features[:, 0] * n_pos + features[:, 1]
    sites = torch.arange(n_layers * n_pos, device=device)
    feature_column = n_pos + torch.arange(len(features), device=device) + at
    # Features of a site and of all before it, the errors before it, and the tokens.
    error_column = n_pos + torch.searchsorted(at, sites, right=True) + sites
    prefix = [n_pos, *(int(error_column[(layer + 1) * n_pos - 1]) + 1 for layer in range(n_layers))]
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
            at,
            feature_column,
            error_column.view(n_layers, n_pos),
            errors,
        ),
        feature_column=feature_column,
        error_column=error_column.view(n_layers, n_pos),
        prefix=prefix,
        constants=_constants(model, seen),
        attention_constants=attention_constants(seen, projections(model)),
        n_zeroed=zeroed.stop,
    )


def _blocks(
    vectors: torch.Tensor,
    feature_of: torch.Tensor,
    locations: torch.Tensor,
    at: torch.Tensor,
    feature_column: torch.Tensor,
    error_column: torch.Tensor,
    errors: torch.Tensor,
) -> list[list[Block]]:
    """Blocks by layer of output; the one of the layer's own features ends with the error."""
    n_layers, n_pos, _ = errors.shape
    blocks: list[list[Block]] = []
    for layer in range(n_layers):
        here = (locations[0] == layer).nonzero().squeeze(1)
        here = here[torch.argsort(feature_of[here], stable=True)]
        features = feature_of[here]
        site, counts = torch.unique_consecutive(at[features], return_counts=True)
        own = {position: errors[layer, position][None] for position in range(n_pos)}
        found: list[Block] = []
        start = 0
        first = feature_column[features[counts.cumsum(0) - counts]]
        # Lists at once: a number at a time, a GPU would be waited for at every site.
        for number, count, column in zip(site.tolist(), counts.tolist(), first.tolist(), strict=True):
            piece = vectors[here[start : start + count]]
            start += count
            source, position = divmod(number, n_pos)
            if source == layer:
                own[position] = torch.cat([piece, own[position]])
            else:
                found.append(Block(position=position, start=column, stop=column + count, vectors=piece))
        for (position, piece), column in zip(own.items(), error_column[layer].tolist(), strict=True):
            start = column + 1 - len(piece)
            found.append(Block(position=position, start=start, stop=column + 1, vectors=piece))
        blocks.append(found)
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
                layer, seen.mlp_in[layer, zeroed]
            ).float()
    return constants


def _decoder_biases(model: ReplacementModel) -> torch.Tensor:
    """(n_layers, d_model): one transcoder a layer, or one for all."""
    transcoders = model.transcoders
    if hasattr(transcoders, "b_dec"):
        return transcoders.b_dec.detach()
    return torch.stack([transcoder.b_dec.detach() for transcoder in transcoders])


def _require_finite(matrix: torch.Tensor, errors: torch.Tensor, logits: torch.Tensor) -> None:
    """Refuse NaN and infinity before they reach a loop that would not end (traps 4, 5)."""
    # (order in the forward pass, layer, position, what): the earliest is the cause.
    found: list[tuple[int, int, int, str]] = []
    values = ~torch.isfinite(matrix.values())
    if values.any():
        layer, position, feature = matrix.indices()[:, int(values.nonzero()[0, 0])].tolist()
        found.append((2 * layer, layer, position, f"the activation of feature L{layer}/{feature}"))
    wrong = (~torch.isfinite(errors)).any(-1)  # (n_layers, n_pos)
    if wrong.any():
        layer, position = wrong.nonzero()[0].tolist()
        what = "the MLP's output, or the transcoder's reconstruction of it,"
        found.append((2 * layer + 1, layer, position, what))
    if not torch.isfinite(logits).all():
        n_layers, n_pos, _ = matrix.shape
        found.append((2 * n_layers, n_layers, n_pos - 1, "a logit"))
    if found:
        _, layer, position, what = min(found)
        raise UserError(
            f"At layer {layer}, position {position}, {what} is NaN or infinite; "
            "use dtype float32, and check the weights and transcoders of this profile."
        )
