"""What goes into and comes out of an MLP of a model, token by token."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.padding import forward_inputs, pad
from pipeline.organism.batches import encode_texts


@dataclass(frozen=True, kw_only=True)
class MlpActivations:
    """MLP inputs (after the norm) and outputs of a layer, (n_tokens, d_model) float32.

    BOS, EOS and padding are excluded: circuit-tracer zeroes the features at BOS, and no
    prompt holds the others.
    """

    inputs: Tensor
    outputs: Tensor

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: LlamaForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        texts: Sequence[str],
        *,
        layer: int,
        batch: int = 256,
    ) -> "MlpActivations":
        """Run `model` on `texts`, one text a sequence, and keep what a layer's MLP reads and writes."""
        rows = sorted(encode_texts(tokenizer, texts), key=len)
        # All at once: a list of parts would take twice the room while it is put together.
        n_tokens = sum(len(row) - 2 for row in rows)
        inputs = torch.empty(n_tokens, model.config.hidden_size)
        outputs = torch.empty_like(inputs)
        done = 0
        kept = torch.empty(0)

        def keep(module: nn.Module, args: tuple[Tensor], out: Tensor) -> None:
            nonlocal done
            here = slice(done, done := done + int(kept.sum()))
            inputs[here], outputs[here] = args[0][kept], out[kept]

        hook = model.model.layers[layer].mlp.register_forward_hook(keep)
        try:
            for start in tqdm(range(0, len(rows), batch), desc="MLP activations", unit="batch"):
                ids = pad([row[:-1] for row in rows[start : start + batch]], tokenizer.pad_token_id)
                kept = (ids != tokenizer.pad_token_id) & (ids != tokenizer.bos_token_id)
                model.model(**forward_inputs(ids))
        finally:
            hook.remove()
        return cls(inputs=inputs, outputs=outputs)
