"""The case for a GPU, of the shape of Llama-3.2-1B: ``python -m tests.bench.gpu_case``.

Weights and transcoders are random and made on the device; nothing is downloaded. The sizes
are arguments, so that a test runs the same code small on the CPU.
"""

import gc
import json
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from circuit_tracer.transcoder import SingleLayerTranscoder, TranscoderSet
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.models.replacement import ReplacementModel, build_replacement
from pipeline.organism.tokenizer import train_tokenizer
from tests.bench.cases import Subject
from tests.bench.comparison import compare
from tests.support.builders import TEXTS

_TARGETS: Final = 10
_PAIRS: Final = 2
"""Runs of circuit-tracer, which vary little."""
_HEADROOM: Final = 1.6
"""Free memory that the case needs, as a multiple of its weights: gradients of a batch, mostly."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of the case; by default those of Llama-3.2-1B and of the transcoders that it has.

    Attributes
    ----------
    active
        About how many features of a layer are active on a token.
    """

    n_layers: int = 16
    d_model: int = 2048
    d_mlp: int = 8192
    n_heads: int = 32
    n_key_value_heads: int = 8
    vocabulary: int = 128_256
    features: int = 131_072
    active: int = 60
    tokens: int = 32
    selected: int = 8192
    batch: int = 256

    @property
    def weight_bytes(self) -> int:
        """Of the transcoders, and of the model twice, since it is converted; float32."""
        attention = 2 * self.d_model**2 * (1 + self.n_key_value_heads / self.n_heads)
        block = attention + 3 * self.d_model * self.d_mlp
        model = self.n_layers * block + 2 * self.vocabulary * self.d_model
        return int(4 * (2 * self.n_layers * self.features * self.d_model + 2 * model))


def gpu_figures(folder: Path) -> dict[str, Any]:
    """`attribution_speedup_gpu`, None without a GPU that has room for the case."""
    sizes = Sizes()
    if not torch.cuda.is_available():
        return _without("there is no GPU")
    free, _ = torch.cuda.mem_get_info()
    if free < _HEADROOM * sizes.weight_bytes:
        return _without(f"the GPU has {free / 1e9:.0f} GB free, too few")
    found = compare(random_subject(folder, sizes, torch.device("cuda")), _PAIRS)
    return {
        "attribution_speedup_gpu": found.speedup,
        "raw": {"attribution_gpu": asdict(found) | {"device": torch.cuda.get_device_name()}},
    }


def random_subject(folder: Path, sizes: Sizes, device: torch.device) -> Subject:
    """A random Llama with ReLU transcoders, and a random prompt.

    Encoders read norm outputs, of unit mean square, with vectors of unit length: inputs of
    features are standard normal but for the bias, which lets through as many as are wanted.
    `folder` gets the tokenizer.
    """
    generator = torch.Generator(device).manual_seed(0)
    tokenizer = train_tokenizer(TEXTS, vocabulary=320, context=64)
    tokenizer.save_pretrained(folder)
    ids = torch.randint(3, 320, (sizes.tokens - 1,), generator=torch.Generator().manual_seed(0))
    model = _model(sizes, tokenizer.bos_token_id, device, generator)
    transcoders = TranscoderSet(
        {layer: _transcoder(layer, sizes, device, generator) for layer in range(sizes.n_layers)},
        feature_input_hook="mlp.hook_in",
        feature_output_hook="mlp.hook_out",
        scan="random",
    )
    replacement: ReplacementModel = build_replacement(model, tokenizer, transcoders, name=str(folder))
    del model  # its weights were copied
    gc.collect()
    return Subject(
        name="gpu",
        model=replacement,
        token_ids=(tokenizer.bos_token_id, *ids.tolist()),
        targets=list(range(3, 3 + _TARGETS)),
        max_feature_nodes=sizes.selected,
        batch_size=sizes.batch,
    )


def _without(reason: str) -> dict[str, Any]:
    return {"attribution_speedup_gpu": None, "raw": {"attribution_gpu": reason}}


@torch.no_grad()
def _model(sizes: Sizes, bos: int, device: torch.device, generator: torch.Generator) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=sizes.vocabulary,
        hidden_size=sizes.d_model,
        intermediate_size=sizes.d_mlp,
        num_hidden_layers=sizes.n_layers,
        num_attention_heads=sizes.n_heads,
        num_key_value_heads=sizes.n_key_value_heads,
        max_position_embeddings=64,
        bos_token_id=bos,
        architectures=["LlamaForCausalLM"],
    )
    with torch.device(device):
        model = LlamaForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.normal_(0.0, sizes.d_model**-0.5, generator=generator)
    return model


@torch.no_grad()
def _transcoder(
    layer: int, sizes: Sizes, device: torch.device, generator: torch.Generator
) -> SingleLayerTranscoder:
    transcoder = SingleLayerTranscoder(
        sizes.d_model, sizes.features, torch.relu, layer, device=device, dtype=torch.float32
    )
    transcoder.W_enc.normal_(0.0, sizes.d_model**-0.5, generator=generator)
    transcoder.W_dec.normal_(0.0, sizes.d_model**-0.5, generator=generator)
    transcoder.b_enc.fill_(torch.special.ndtri(torch.tensor(sizes.active / sizes.features)))
    return transcoder


def main() -> None:
    """Print the figure and what it was made of."""
    with tempfile.TemporaryDirectory(prefix="gpu-") as folder:
        print(json.dumps(gpu_figures(Path(folder)), indent=1))


if __name__ == "__main__":
    main()
