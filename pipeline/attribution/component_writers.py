"""The modules of an adapter that write to the residual stream, component by component.

Those are LoRA on ``o_proj`` and ``down_proj``: component i adds b_i (A_i . h) to what the module
gives, b_i being column i of B times scaling and scale. LoRA on other projections changes what is
read, and writes through weights of the base: it has no direction of its own in the stream.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from transformers import PreTrainedModel

from pipeline.models.deltas import read_deltas
from pipeline.models.lora import LoraFactors
from pipeline.models.pool import ModelPool
from pipeline.models.stream_norms import gain_of, stream_norms
from store.documents.manifest import Source
from store.schema.vocabulary import WRITERS

O_PROJ, DOWN_PROJ = range(len(WRITERS))
_MODULE: Final = re.compile(rf"model\.layers\.(\d+)\.(?:self_attn|mlp)\.({'|'.join(WRITERS)})")


@dataclass(frozen=True, kw_only=True)
class Writer:
    """The adapter of one module.

    Attributes
    ----------
    name
        Of the module.
    module
        Its code, of `store.schema.vocabulary.WRITERS`.
    layer
        0-based.
    down
        ``lora_A``, (rank, in) float32.
    up
        b of each component: ``lora_B`` transposed, times scaling and scale; (rank, d_model) float32.
    gain
        Of the norm behind the module; (d_model,) float32, ones where there is none.
    """

    name: str
    module: int
    layer: int
    down: torch.Tensor
    up: torch.Tensor
    gain: torch.Tensor

    def reaches(self, layer: int) -> bool:
        """Whether the transcoder of a layer reads what it writes: attention comes before the MLP."""
        return self.layer < layer or (self.module == O_PROJ and self.layer == layer)


def writers_of(models: ModelPool, variant: str) -> list[Writer]:
    """Writers of a variant, by layer, ``o_proj`` first; none of base.

    Errors as `pipeline.models.pool.ModelPool.causal_lm`.
    """
    model, which = models.causal_lm(variant), models.manifest.variant(variant)
    if which.is_base:
        return []
    source = models.manifest.adapter(which)
    found = []
    for name, lora in _factors(source, models.manifest.base).items():
        if match := _MODULE.fullmatch(name):
            layer, module = int(match[1]), WRITERS.index(match[2])
            up = (which.scale * lora.scaling) * lora.up.T
            found.append(
                Writer(
                    name=name,
                    module=module,
                    layer=layer,
                    down=lora.down.to(model.device),
                    up=up.to(model.device),
                    gain=_gain(model, module, layer),
                )
            )
    return sorted(found, key=lambda each: (each.layer, each.module))


def component_names(writers: list[Writer]) -> dict[str, np.ndarray]:
    """Module, layer and index of every component, in the writers' order; (component,) each."""
    ranks = [len(each.up) for each in writers]
    return {
        "module": np.repeat(np.array([each.module for each in writers], np.int8), ranks),
        "layer": np.repeat(np.array([each.layer for each in writers], np.int16), ranks),
        "index": np.concatenate(
            [np.zeros(0, np.int32), *(np.arange(rank, dtype=np.int32) for rank in ranks)]
        ),
    }


def _gain(model: PreTrainedModel, module: int, layer: int) -> torch.Tensor:
    norms = stream_norms(model, layer)
    norm = norms.behind_attention if module == O_PROJ else norms.behind_mlp
    return torch.ones(model.config.hidden_size, device=model.device) if norm is None else gain_of(norm)


@lru_cache(maxsize=1)
def _factors(adapter: Source, base: Source) -> Mapping[str, LoraFactors]:
    """Read once for all prompts of a variant; a difference of no low rank has no components."""
    deltas = read_deltas(adapter, base)
    return {name: delta for name, delta in deltas.items() if isinstance(delta, LoraFactors)}
