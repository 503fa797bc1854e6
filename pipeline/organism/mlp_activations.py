"""What goes into and comes out of every MLP of a model, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.batches import encode_texts, pad


@dataclass(frozen=True, kw_only=True)
class MlpActivations:
    """MLP inputs (after the norm) and outputs of every layer, (n_tokens, d_model) float32.

    BOS, EOS and padding are excluded: circuit-tracer zeroes the features at BOS, and no
    prompt holds the others.
    """

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: LlamaForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        texts: Sequence[str],
        *,
        layers: Sequence[int] | None = None,
        batch: int = 256,
    ) -> "MlpActivations":
        """Run `model` on `texts`, one text a sequence, and keep some layers; None: all."""
        layers = range(model.config.num_hidden_layers) if layers is None else layers
        inputs: list[list[Tensor]] = [[] for _ in layers]
        outputs: list[list[Tensor]] = [[] for _ in layers]
        kept = torch.empty(0)

        def keep(module: nn.Module, args: tuple[Tensor], out: Tensor, *, layer: int) -> None:
            inputs[layer].append(args[0][kept])
            outputs[layer].append(out[kept])

        hooks = [
            model.model.layers[layer].mlp.register_forward_hook(partial(keep, layer=i))
            for i, layer in enumerate(layers)
        ]
        rows = sorted(encode_texts(tokenizer, texts), key=len)
        try:
            for start in tqdm(range(0, len(rows), batch), desc="MLP activations", unit="batch"):
                ids = pad([row[:-1] for row in rows[start : start + batch]], tokenizer.pad_token_id)
                kept = (ids != tokenizer.pad_token_id) & (ids != tokenizer.bos_token_id)
                model.model(input_ids=ids, use_cache=False)
        finally:
            for hook in hooks:
                hook.remove()
        return cls(inputs=tuple(map(torch.cat, inputs)), outputs=tuple(map(torch.cat, outputs)))
