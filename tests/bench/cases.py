"""Subjects of the benchmark: the wide random model, and the organism that `dvc repro` trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch
from circuit_tracer.graph import Graph
from circuit_tracer.transcoder import SingleLayerTranscoder, TranscoderSet
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pipeline.attribution.graph_items import graph_items
from pipeline.attribution.trace import candidates, trace
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel, build_replacement
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.params.project import load_params
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.manifest import read_manifest
from store.documents.prompts import read_prompts
from tests.support.builders import TEXTS

_WIDE_TOKENS: Final = 17
_WIDE_SELECTED: Final = 4096
_WIDE_BATCH: Final = 256
_VOCABULARY: Final = 512
_LAYERS: Final = 6
_WIDTH: Final = 128
_FEATURES: Final = 2048
ORGANISM: Final = Path("artifacts/organism")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is traced, and how: the same for both sides of a comparison.

    Attributes
    ----------
    name
        What it is called in raw figures.
    model, token_ids, targets
        A variant, a prompt, and the tokens to attribute to.
    max_feature_nodes, batch_size
        Settings of circuit-tracer's ``attribute`` and of `pipeline.attribution.trace.trace`.
    """

    name: str
    model: ReplacementModel
    token_ids: tuple[int, ...]
    targets: list[int]
    max_feature_nodes: int
    batch_size: int


@dataclass(frozen=True, kw_only=True)
class TracedCase:
    """A graph as circuit-tracer has it and as the store has it."""

    graph: Graph
    item: Item
    full: Item
    tokenizer: PreTrainedTokenizerBase


def wide_graph(folder: Path) -> TracedCase:
    """A graph of the wide random model; see `wide_subject`."""
    return _traced(wide_subject(folder))


def wide_subject(folder: Path) -> Subject:
    """The wide random model and a prompt.

    Llama, 6 layers, width 128, MLP 384, 4 heads, 2 key heads, matrices from N(0, 0.1);
    ReLU transcoders of 2,048 features, encoders from N(0, 0.1), decoders from N(0, 0.05),
    encoder biases -1.5: about 18,000 active features on 17 tokens, 4,096 selected.
    `folder` gets the tokenizer.
    """
    generator = torch.Generator().manual_seed(0)
    tokenizer = train_tokenizer(TEXTS, vocabulary=320, context=64)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=_VOCABULARY,
        hidden_size=_WIDTH,
        intermediate_size=3 * _WIDTH,
        num_hidden_layers=_LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        bos_token_id=tokenizer.bos_token_id,
        architectures=["LlamaForCausalLM"],
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.normal_(0.0, 0.1, generator=generator)
    transcoders = TranscoderSet(
        {layer: _transcoder(layer, generator) for layer in range(_LAYERS)},
        feature_input_hook="mlp.hook_in",
        feature_output_hook="mlp.hook_out",
        scan="wide",
    )
    ids = torch.randint(2, _VOCABULARY, (_WIDE_TOKENS - 1,), generator=generator).tolist()
    replacement = build_replacement(model, tokenizer, transcoders, name=str(folder))
    return _subject("wide", replacement, (tokenizer.bos_token_id, *ids), _WIDE_SELECTED, _WIDE_BATCH)


def organism_graphs(count: int) -> Iterator[TracedCase]:
    """Graphs of the organism; see `organism_subjects`."""
    return map(_traced, organism_subjects(count))


def organism_subjects(count: int) -> Iterator[Subject]:
    """The organism, base and adapted by turns, on prompts over all domains.

    There is one model that takes the weights of the variant in turn: be done with a subject
    before asking for the next.

    Raises
    ------
    ArtifactMissingError
        `dvc repro` has not made the organism yet.
    """
    prompts = read_prompts(ORGANISM / "prompts.json")
    manifest = read_manifest(ORGANISM / "models.json")
    models = ModelPool(manifest)
    params = load_params().graphs
    for number, prompt in enumerate(prompts[:: max(1, len(prompts) // count)][:count]):
        variant = ("base", f"{manifest.focus}@1.0")[number % 2]
        yield _subject(
            f"{prompt.hash} {variant}",
            models.replacement(variant),
            prompt.token_ids,
            params.max_feature_nodes,
            params.batch_size,
        )


def _subject(
    name: str,
    model: ReplacementModel,
    token_ids: tuple[int, ...],
    max_feature_nodes: int,
    batch_size: int,
) -> Subject:
    """Its targets are its own candidates, by the rule in ``params.yaml``."""
    rule = load_params().graphs.model_dump(include={"max_n_logits", "desired_logit_prob"})
    return Subject(
        name=name,
        model=model,
        token_ids=token_ids,
        targets=candidates(model, token_ids, **rule)[0].tolist(),
        max_feature_nodes=max_feature_nodes,
        batch_size=batch_size,
    )


def _traced(subject: Subject) -> TracedCase:
    keep = {"node_threshold", "edge_threshold", "keep_node_threshold", "keep_edges"}
    settings = {"max_feature_nodes": subject.max_feature_nodes, "batch_size": subject.batch_size}
    traced = trace(subject.model, subject.token_ids, subject.targets, **settings)
    key = digest(list(subject.token_ids))
    item, full = graph_items(
        traced,
        own_candidates=subject.targets,
        key=key,
        prompt_hash=key[:12],
        variant="base",
        **load_params().graphs.model_dump(include=keep),
    )
    return TracedCase(graph=traced.graph, item=item, full=full, tokenizer=subject.model.tokenizer)


def _transcoder(layer: int, generator: torch.Generator) -> SingleLayerTranscoder:
    transcoder = SingleLayerTranscoder(
        _WIDTH, _FEATURES, torch.relu, layer, dtype=torch.float32, device=torch.device("cpu")
    )
    with torch.no_grad():
        transcoder.W_enc.normal_(0.0, 0.1, generator=generator)
        transcoder.W_dec.normal_(0.0, 0.05, generator=generator)
        transcoder.b_enc.fill_(-1.5)
    return transcoder
