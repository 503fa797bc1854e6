"""The local replacement model as a forward pass in float64: an independent reference.

Written from DESIGN.md, section 5: attention patterns, norm scales, feature gates, errors,
decoder biases and unselected features are frozen as one pass of the model had them; chosen
active features answer linearly. Nothing here is pulled back, and nothing comes from
`pipeline.attribution`.
"""

from collections.abc import Sequence

import torch
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from transformer_lens import ActivationCache

from pipeline.models.replacement import ReplacementModel

_BATCH = 64


class LocalModel:
    """What is left of one forward pass when everything but lines is frozen.

    Parameters
    ----------
    model
        A variant; its weights are copied here, so that it may become another one.
    token_ids
        The prompt.
    live
        Features that answer, (n, 3) int64 layer, position, index; all active ones by default.
    through
        The base, for the attention mode: effects pass through its values and outputs, and
        what this model's write beyond them is frozen, a source like an error.

    Attributes
    ----------
    active
        Active features in circuit-tracer's order; (n, 3) int64.
    inputs
        The model's own transcoder inputs; (layer, position, d_model) float64.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: ReplacementModel,
        token_ids: Sequence[int],
        *,
        live: torch.Tensor | None = None,
        through: ReplacementModel | None = None,
    ) -> None:
        cfg = model.cfg
        self.n_layers, n_pos = cfg.n_layers, len(token_ids)
        cache = recorded(model, token_ids)
        self.embedding = cache["hook_embed"].double()
        self.pattern = [cache[f"blocks.{layer}.attn.hook_pattern"].double() for layer in self._layers]
        post = cfg.use_normalization_before_and_after
        behind = model.original_feature_output_hook == "hook_mlp_out"
        none = torch.ones(n_pos, cfg.d_model, dtype=torch.float64)

        def scaled(name: str) -> torch.Tensor:
            return model.get_submodule(name).w.double() / cache[f"{name}.hook_scale"].double()

        self.into_attention, self.behind_attention, self.into_mlp, self.behind_mlp = ([] for _ in range(4))
        for layer in self._layers:
            name = f"blocks.{layer}"
            self.into_attention.append(scaled(f"{name}.ln1"))
            self.behind_attention.append(scaled(f"{name}.ln1_post") if post else none)
            reads = {
                "mlp.hook_in": scaled(f"{name}.ln2"),
                "ln2.hook_normalized": none / cache[f"{name}.ln2.hook_scale"].double(),
                "hook_resid_mid": none,
            }
            self.into_mlp.append(reads[model.feature_input_hook])
            self.behind_mlp.append(scaled(f"{name}.ln2_post") if post and not behind else none)
        self.final = scaled("ln_final")[-1]
        self.unembedding = model.unembed.W_U.double()
        self.attention = [_attention(through or model, layer) for layer in self._layers]
        self.beyond = torch.zeros(self.n_layers, n_pos, cfg.d_model, dtype=torch.float64)
        if through is not None:
            for layer in self._layers:
                attended = cache[f"blocks.{layer}.ln1.hook_normalized"].double()
                attended = attended * model.blocks[layer].ln1.w.double()
                own, base = (
                    _attend(weights, self.pattern[layer], attended)
                    for weights in (_attention(model, layer), self.attention[layer])
                )
                self.beyond[layer] = own - base

        self.encoder, self.encoder_bias, self.decoder, self.skip = _transcoders(model)
        self.inputs = torch.stack(
            [cache[f"blocks.{layer}.{model.feature_input_hook}"].double() for layer in self._layers]
        )
        outputs = [cache[f"blocks.{layer}.{model.feature_output_hook}"].double() for layer in self._layers]
        gate = []
        for layer in self._layers:
            found = model.transcoders.encode_layer(self.inputs[layer].to(cfg.dtype), layer) != 0
            found[model.zero_positions] = False
            gate.append(found)
        self.active = torch.stack(gate).nonzero()
        self.gate = torch.stack(gate).double()
        if live is not None:
            chosen = torch.zeros_like(self.gate)
            chosen[tuple(live.T)] = 1.0
            assert not (chosen > self.gate).any(), "only active features can answer"
            self.gate = chosen
        # What does not answer: errors, decoder biases, other features, all of BOS.
        self.frozen = torch.zeros(self.n_layers, n_pos, cfg.d_model, dtype=torch.float64)
        values = [self._activation(layer, self.inputs[layer]) for layer in self._layers]
        for layer in self._layers:
            answers = self.inputs[layer] @ self.skip[layer]
            for source in range(layer + 1):
                answers = answers + self._decoded(source, layer, values[source])
            self.frozen[layer] = outputs[layer] - answers
        self.baseline = self.centred_logits()[0]

    @property
    def _layers(self) -> range:
        return range(self.n_layers)

    def pre_activations(self, features: torch.Tensor) -> torch.Tensor:
        """Encoder times input, no bias, of (n, 3) features, in the model itself; (n,) float64."""
        layer, position, index = features.T
        return (self.inputs[layer, position] * self.encoder[layer, index]).sum(1)

    def ablated(self, features: torch.Tensor) -> torch.Tensor:
        """Effect of each feature at 0, (n, 3), on all centred logits; (n, vocab) float64."""
        return (
            torch.cat([self.centred_logits(ablated=part) for part in features.split(_BATCH)]) - self.baseline
        )

    def removed(
        self,
        layers: Sequence[int],
        positions: Sequence[int],
        vectors: torch.Tensor,
        *,
        attention: Sequence[bool],
    ) -> torch.Tensor:
        """Effect of taking each vector out, (n, d_model), on all centred logits; (n, vocab) float64.

        Out of an MLP's output where transcoders write, or (`attention`) of the residual
        stream behind an attention.
        """
        size = (self.n_layers, *self.embedding.shape)
        found = []
        for rows in torch.arange(len(vectors)).split(_BATCH):
            outs = torch.zeros(2, len(rows), *size, dtype=torch.float64)
            for at, row in enumerate(rows.tolist()):
                outs[int(attention[row]), at, layers[row], positions[row]] = vectors[row].double()
            found.append(self.centred_logits(from_mlp=outs[0], from_attention=outs[1]))
        return torch.cat(found) - self.baseline

    def centred_logits(
        self,
        *,
        ablated: torch.Tensor | None = None,
        from_mlp: torch.Tensor | None = None,
        from_attention: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Run forward; logits of the last position before any softcap, minus their mean.

        Parameters
        ----------
        ablated
            One feature a row of the batch that is held at 0; (batch, 3).
        from_mlp, from_attention
            What is taken out of each MLP's output, and of the residual stream behind each
            attention; (batch, layer, position, d_model).

        Returns
        -------
        torch.Tensor
            (batch, vocab) float64.
        """
        n_batch = max(len(x) if x is not None else 1 for x in (ablated, from_mlp, from_attention))
        residual = self.embedding.expand(n_batch, -1, -1)
        values: list[torch.Tensor] = []
        for layer in self._layers:
            attended = _attend(
                self.attention[layer], self.pattern[layer], residual * self.into_attention[layer]
            )
            residual = residual + (attended + self.beyond[layer]) * self.behind_attention[layer]
            if from_attention is not None:
                residual = residual - from_attention[:, layer]
            read = residual * self.into_mlp[layer]
            value = self._activation(layer, read)
            if ablated is not None:
                row = (ablated[:, 0] == layer).nonzero().squeeze(1)
                value[row, ablated[row, 1], ablated[row, 2]] = 0.0
            values.append(value)
            written = self.frozen[layer] + read @ self.skip[layer]
            for source in range(layer + 1):
                written = written + self._decoded(source, layer, values[source])
            if from_mlp is not None:
                written = written - from_mlp[:, layer]
            residual = residual + written * self.behind_mlp[layer]
        logits = (residual[:, -1] * self.final) @ self.unembedding
        return logits - logits.mean(1, keepdim=True)

    def _activation(self, layer: int, read: torch.Tensor) -> torch.Tensor:
        """Of features that answer, a line through their input; all others are 0."""
        return (read @ self.encoder[layer].T + self.encoder_bias[layer]) * self.gate[layer]

    def _decoded(self, source: int, layer: int, value: torch.Tensor) -> torch.Tensor | float:
        """What the features of one layer write at another."""
        decoder = self.decoder[source]
        return value @ decoder[:, layer - source] if layer - source < decoder.shape[1] else 0.0


def recorded(model: ReplacementModel, token_ids: Sequence[int]) -> ActivationCache:
    """Everything that one pass shows, by TransformerLens's names, without a batch."""
    _, cache = model.run_with_cache(
        torch.as_tensor(token_ids),
        # TransformerLens cannot record these, which patterns hold anyway.
        names_filter=lambda name: ".q_norm." not in name and ".k_norm." not in name,
        remove_batch_dim=True,
    )
    return cache


def _attention(model: ReplacementModel, layer: int) -> tuple[torch.Tensor, ...]:
    attention = model.blocks[layer].attn
    return tuple(x.detach().double() for x in (attention.W_V, attention.b_V, attention.W_O, attention.b_O))


def _attend(weights: tuple[torch.Tensor, ...], pattern: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    into, value_bias, out, bias = weights
    value = torch.einsum("...pm,hmd->...hpd", x, into) + value_bias[:, None]
    return torch.einsum("...hpd,hdm->...pm", pattern @ value, out) + bias


def _transcoders(
    model: ReplacementModel,
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Encoders, their biases, decoders (feature, layer from here on, d_model), and skips (in, out)."""
    transcoders, n_layers = model.transcoders, model.cfg.n_layers
    nothing = torch.zeros(model.cfg.d_model, model.cfg.d_model, dtype=torch.float64)
    if isinstance(transcoders, CrossLayerTranscoder):
        skips = None if transcoders.W_skip is None else transcoders.W_skip.detach().double()
        return (
            transcoders.W_enc.detach().double(),
            transcoders.b_enc.detach().double(),
            [decoder.detach().double() for decoder in transcoders.W_dec],
            [nothing if skips is None else skips[layer] for layer in range(n_layers)],
        )
    return (
        torch.stack([each.W_enc.detach().double() for each in transcoders]),
        torch.stack([each.b_enc.detach().double() for each in transcoders]),
        [each._get_decoder_vectors().detach().double()[:, None] for each in transcoders],
        [nothing if each.W_skip is None else each.W_skip.detach().double().T for each in transcoders],
    )
