"""Which parts of a pass carry the difference between two variants: features, adapters, attention, errors.

At each layer and position the other variant's MLP output is this one's, plus the change of its features,
what its adapter writes beyond this one's weights at the same input, and the change of what no feature
explains. With all of them, and what its attention writes beyond this one's, the other variant's logits
are there to rounding, whatever the features are worth.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipeline.interventions.freezing import Hook, hooked
from pipeline.interventions.held import Seen, Written, adding, last_logits
from pipeline.models.dictionaries import encode, written
from pipeline.models.replacement import ReplacementModel


@torch.no_grad()
def part_logits(
    model: ReplacementModel,
    token_ids: Sequence[int],
    source: Seen,
    own: Written,
    parts: Sequence[Mapping[str, bool]],
    tokens: Sequence[int],
) -> np.ndarray:
    """Logits with whole parts of every layer as they are in another pass.

    Parameters
    ----------
    model
        Its variant is the host.
    source
        The other variant's pass.
    own
        What the host's modules write at its inputs.
    parts
        By row, whether each of `store.schema.vocabulary.DIFFERENCE_PARTS` is the source's; one that is
        absent is not.
    tokens
        Whose logits are wanted, at the last position.

    Returns
    -------
    numpy.ndarray
        (row, token) float32.
    """

    def rows(part: str) -> torch.Tensor:
        chosen = [[[float(row.get(part, False))]] for row in parts]
        return torch.tensor(chosen, device=model.cfg.device)  # (row, 1, 1)

    features, adapter, errors, attention = map(rows, ("features", "adapter", "errors", "attention"))
    kept: list[torch.Tensor] = []

    def read(x: torch.Tensor) -> None:
        kept.append(x)

    changes: list[torch.Tensor] = []
    active: list[torch.Tensor] = []

    def writing(layer: int) -> Hook:
        values = source.activations[layer]
        beyond = source.outputs[layer] - own.outputs[layer]
        error = own.outputs[layer] - written(model.transcoders, source.activations, layer)

        def write(output: torch.Tensor) -> torch.Tensor:
            now = encode(model.transcoders, layer, kept.pop())
            now[:, model.zero_positions] = 0
            active.append(now)
            changes.append(values - now)
            unexplained = output - written(model.transcoders, active, layer)
            changed = features * written(model.transcoders, changes, layer)
            changed = changed + adapter * beyond + errors * (error - unexplained)
            held: torch.Tensor = output + changed.to(output.dtype)
            return held

        return write

    hooks: list[tuple[str, Hook]] = []
    for layer in range(model.cfg.n_layers):
        beyond = source.attention[layer] - own.attention[layer]
        hooks += [
            (f"blocks.{layer}.hook_attn_out", adding(attention * beyond)),
            (f"blocks.{layer}.{model.feature_input_hook}", read),
            (f"blocks.{layer}.{model.feature_output_hook}", writing(layer)),
        ]
    ids = torch.tensor([list(token_ids)] * len(parts), device=model.cfg.device)
    with hooked(model, hooks):
        logits = last_logits(model, ids)
    found: np.ndarray = logits[:, list(tokens)].float().cpu().numpy()
    return found
