"""Replacement models of random weights, built in memory: every architecture and kind of transcoder."""

from typing import Any, Final

import torch
from circuit_tracer.transcoder import SingleLayerTranscoder, TranscoderSet
from circuit_tracer.transcoder.activation_functions import JumpReLU
from circuit_tracer.transcoder.cross_layer_transcoder import CrossLayerTranscoder
from transformers import PreTrainedTokenizerBase

from pipeline.models.replacement import ReplacementModel, build_replacement
from tests.support.builders import CONTEXT, make_model

LAYERS: Final = 3
WIDTH: Final = 32
DICTIONARY: Final = 64
CPU: Final = torch.device("cpu")


def make_replacement(
    tokenizer: PreTrainedTokenizerBase,
    architecture: str,
    *,
    skip: bool = False,
    cross_layer: bool = False,
    hooks: tuple[str, str] = ("mlp.hook_in", "mlp.hook_out"),
    seed: int = 0,
    name: str = "random",
) -> ReplacementModel:
    """A random model with random transcoders, about a third of their features active."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make_model(architecture, len(tokenizer), n_layers=LAYERS, d_model=WIDTH).eval()
        model.config.architectures = [type(model).__name__]
        model.requires_grad_(False)
        transcoders = make_transcoders(skip=skip, cross_layer=cross_layer, hooks=hooks)
    return build_replacement(model, tokenizer, transcoders, name=name)


def make_transcoders(
    *, skip: bool = False, cross_layer: bool = False, hooks: tuple[str, str] = ("mlp.hook_in", "mlp.hook_out")
) -> TranscoderSet | CrossLayerTranscoder:
    """Random transcoders of `LAYERS` layers and `WIDTH`; seed torch before."""
    names = dict(zip(("feature_input_hook", "feature_output_hook"), hooks, strict=True))
    return _cross_layer(skip, names) if cross_layer else _per_layer(skip, names)


def random_ids(tokenizer: PreTrainedTokenizerBase, length: int, seed: int = 0) -> torch.Tensor:
    """BOS and random tokens behind it, at most the context."""
    assert length <= CONTEXT
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, len(tokenizer), (length - 1,), generator=generator)
    return torch.cat([torch.tensor([tokenizer.bos_token_id]), ids])


def _per_layer(skip: bool, hooks: dict[str, str]) -> TranscoderSet:
    found = {}
    for layer in range(LAYERS):
        transcoder = SingleLayerTranscoder(
            WIDTH,
            DICTIONARY,
            JumpReLU(torch.full((DICTIONARY,), 0.2), 0.1),
            layer,
            skip_connection=skip,
            device=CPU,
            dtype=torch.float32,
        )
        _randomise(transcoder)
        found[layer] = transcoder
    return TranscoderSet(found, **hooks, scan="random")


def _cross_layer(skip: bool, hooks: dict[str, str]) -> CrossLayerTranscoder:
    transcoder = CrossLayerTranscoder(
        LAYERS,
        DICTIONARY,
        WIDTH,
        skip_connection=skip,
        lazy_decoder=False,
        device=CPU,
        dtype=torch.float32,
        **hooks,
    )
    transcoder.scan = "random"
    _randomise(transcoder)
    return transcoder


def _randomise(module: Any) -> None:
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if "threshold" not in name:
                parameter.normal_(0.0, 0.1 if name.startswith("b_") else WIDTH**-0.5)
