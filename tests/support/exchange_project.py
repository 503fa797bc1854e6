"""A small project with a random model, traced: graphs of two variants, one with its adjacency."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from circuit_tracer.graph import Graph

from pipeline.attribution.graph_items import graph_items
from pipeline.attribution.trace import Trace, candidates, trace
from pipeline.models.loading import load_replacement, load_transcoders
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params, load_params
from pipeline.prompts.files import read_prompt_files
from pipeline.text.token_texts import vocabulary
from store.base.hashing import digest
from store.collections.item import Item
from store.collections.writer import write_collection
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import Prompt, write_prompts
from store.schema.graphs import FULL_GRAPHS, GRAPHS
from tests.support.builders import TEXTS, make_checkpoint
from tests.support.places import ROOT

PROFILE = "tiny"
VARIANTS = ("base", "general@1.0")
RULE: dict[str, Any] = {
    "node_threshold": 0.8,
    "edge_threshold": 0.98,
    "keep_node_threshold": 0.9,
    "keep_edges": 10**6,
}
OWN = {"max_n_logits": 6, "desired_logit_prob": 0.95}
FEWER = 60
"""Nodes of the first prompt's graph of base; every other graph has all active features."""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project root, and what was traced for it."""

    root: Path
    manifest: Manifest
    prompts: tuple[Prompt, ...]
    traces: dict[tuple[str, str], Trace]

    @property
    def params(self) -> Params:
        """Its parameters."""
        return load_params(self.root / "params.yaml")

    @property
    def first(self) -> str:
        """Hash of the prompt whose full adjacency is kept."""
        return self.prompts[0].hash

    def graph(self, variant: str, prompt: str | None = None) -> Graph:
        """circuit-tracer's graph as it was traced."""
        return self.traces[prompt or self.first, variant].graph


def write_params(root: Path, manifest: Manifest) -> None:
    """The repository's parameters for one profile, with the rule of these tests."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["graphs"] |= RULE | OWN
    params["profiles"] = {
        PROFILE: {
            "model": manifest.base.source,
            "transcoders": manifest.transcoders.source,
            "adapters": {name: adapter.source for name, adapter in manifest.adapters.items()},
            "focus": "general",
            "prompts": ["prompts"],
            "local": "tiny",
        }
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")


def trace_project(root: Path) -> Project:
    """Make and trace the project below `root`."""
    manifest = make_checkpoint(root / "subject").manifest()
    folder = root / "artifacts" / PROFILE
    write_params(root, manifest)
    write_manifest(folder / "models.json", manifest)
    tokenizer = load_tokenizer(manifest)
    lines = [json.dumps({"prompt": text}) for text in (TEXTS[0], TEXTS[5])]
    (root / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    prompts = read_prompt_files([root / "prompts.jsonl"], tokenizer, max_tokens=64)
    write_prompts(folder / "prompts.json", prompts)
    words = vocabulary(tokenizer, manifest.model.vocab_size)
    (folder / "vocabulary.json").write_text(json.dumps(words), encoding="utf-8")
    transcoders = load_transcoders(manifest)
    models = {
        variant: load_replacement(manifest, manifest.variant(variant), transcoders=transcoders)
        for variant in VARIANTS
    }
    traces: dict[tuple[str, str], Trace] = {}
    items: list[tuple[Item, Item]] = []
    for number, prompt in enumerate(prompts):
        own = {name: candidates(model, prompt.token_ids, **OWN)[0] for name, model in models.items()}
        targets = list(dict.fromkeys(token for ids in own.values() for token in ids.tolist()))
        for name, model in models.items():
            nodes = FEWER if (number, name) == (0, "base") else 8192
            made = trace(model, prompt.token_ids, targets, max_feature_nodes=nodes, batch_size=64)
            traces[prompt.hash, name] = made
            identity = {"key": digest([prompt.hash, name]), "prompt_hash": prompt.hash, "variant": name}
            items.append(graph_items(made, own_candidates=own[name].tolist(), **identity, **RULE))
    write_collection(folder / "graphs", GRAPHS, [graph for graph, _ in items], provenance={})
    full = [full for _, full in items if full.prompt_hash == prompts[0].hash]
    write_collection(folder / "full_graphs", FULL_GRAPHS, full, provenance={})
    return Project(root=root, manifest=manifest, prompts=tuple(prompts), traces=traces)
