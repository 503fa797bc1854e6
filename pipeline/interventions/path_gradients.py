"""Edge attribution with integrated gradients: what a small step of a feature toward the adapted value does.

EAP-IG (Hanna, Pezzelle & Belinkov 2024, arXiv 2403.17806) at the outputs of MLPs: a feature's score is
the change of its activation times its decoder's product with the gradient of the log-odds there, averaged
along the straight path on which all features go from one pass's activations to another's. All edges that
leave a feature are summed. The gradient is the real model's: through attention, norms and later MLPs.
"""

from collections.abc import Sequence

import torch

from pipeline.interventions.freezing import Hook, hooked
from pipeline.interventions.held import Seen, free_gradients, last_logits
from pipeline.models.dictionaries import decoder_rows, encode, written
from pipeline.models.replacement import ReplacementModel


def path_gradients(
    model: ReplacementModel,
    token_ids: Sequence[int],
    start: Seen,
    end: Seen,
    evil: Sequence[int],
    safe: Sequence[int],
    steps: int,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Mean gradients of the log-odds of evil against safe tokens at each layer's MLP and attention output.

    Parameters
    ----------
    model
        Whose gradients; its variant is that of the pass `start`.
    start, end
        The two ends of the path.
    evil, safe
        Token ids.
    steps
        Points on the path, in the middle of as many equal parts.

    Returns
    -------
    tuple of list of torch.Tensor
        Of MLPs and of attention: (position, d_model) by layer, log-odds per unit of output.
    """
    device = model.cfg.device
    way = (torch.arange(steps, device=device, dtype=torch.float32) + 0.5) / steps
    outputs: list[torch.Tensor] = []
    attention: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []

    def read(x: torch.Tensor) -> None:
        kept.append(x.detach())

    def attend(output: torch.Tensor) -> torch.Tensor:
        attention.append(output if output.requires_grad else output.requires_grad_())
        return attention[-1]

    changes: list[torch.Tensor] = []

    def writing(layer: int) -> Hook:
        first, last = start.activations[layer], end.activations[layer]

        def write(output: torch.Tensor) -> torch.Tensor:
            # What is added is a constant: gradients go through the MLP itself.
            with torch.no_grad():
                change = (
                    first + way[:, None, None] * (last - first) - encode(model.transcoders, layer, kept.pop())
                )
                change[:, model.zero_positions] = 0
                changes.append(change.to(first.dtype))  # the path is float32, whatever features are
                added = written(model.transcoders, changes, layer).to(output.dtype)
            held: torch.Tensor = output + added
            outputs.append(held if held.requires_grad else held.requires_grad_())
            return held

        return write

    # circuit-tracer's own hook for writing is called by one of those that are lifted.
    hooks: list[tuple[str, Hook]] = []
    for layer in range(model.cfg.n_layers):
        hooks += [
            (f"blocks.{layer}.hook_attn_out", attend),
            (f"blocks.{layer}.{model.feature_input_hook}", read),
            (f"blocks.{layer}.{model.original_feature_output_hook}", writing(layer)),
        ]
    ids = torch.tensor([list(token_ids)] * steps, device=device)
    with free_gradients(model), torch.enable_grad(), hooked(model, hooks):
        logits = last_logits(model, ids).float()
        odds = logits[:, list(evil)].logsumexp(dim=1) - logits[:, list(safe)].logsumexp(dim=1)
        found = torch.autograd.grad(odds.sum(), [*outputs, *attention])
    means = [gradient.mean(dim=0) for gradient in found]
    return means[: len(outputs)], means[len(outputs) :]


def path_scores(
    model: ReplacementModel, start: Seen, end: Seen, gradients: Sequence[torch.Tensor]
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Scores of the features that differ between two passes, summed over positions.

    Returns
    -------
    list of (features, score, moved)
        By layer, (feature,) each: index; EAP-IG, log-odds; and the length of what the change of
        activation writes, |f' - f| times the decoder's norm.
    """
    found = []
    for layer in range(len(gradients)):
        change = end.activations[layer] - start.activations[layer]  # (position, feature)
        features = change.any(dim=0).nonzero().flatten()
        change, rows = change[:, features], decoder_rows(model.transcoders, layer, features)
        # A cross-layer feature writes at the outputs of later layers, too.
        effect = sum(gradients[at].to(row.dtype) @ row.T for at, row in enumerate(rows, layer))
        length = torch.cat(rows, dim=1).norm(dim=1)
        found.append((features, (change * effect).sum(dim=0), change.abs().sum(dim=0) * length))
    return found
