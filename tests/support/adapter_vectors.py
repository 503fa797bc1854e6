"""What adapter nodes write: as the pipeline has it, and by PEFT's own modules."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from pipeline.attribution.adapter_nodes import AdapterNodes, split_errors
from pipeline.attribution.source_nodes import Sources
from pipeline.attribution.trace import observe
from pipeline.attribution.weights import projections
from pipeline.models.loading import load_replacement
from pipeline.models.pool import ModelPool
from store.schema.vocabulary import ADAPTER_PARTS
from tests.support.local_model import LocalModel, recorded
from tests.support.peft_reference import PeftReference
from tests.support.subjects import TARGETS, Case

DOWN, HIDDEN, ATTENTION = range(len(ADAPTER_PARTS))
Name = tuple[int, int, int, int]
"""Part, layer, position, component."""
Vectors = Mapping[Name, torch.Tensor]


def split(
    pool: ModelPool, ids: Sequence[int], variant: str, *, attention: bool = False, components: int = 16
) -> tuple[Sources, AdapterNodes]:
    """The sources of a prompt with adapter nodes."""
    base = projections(pool.replacement("base"))
    model = pool.replacement(variant)
    seen, sources = observe(model, ids)
    return split_errors(
        model,
        seen,
        sources,
        base=base,
        factors=pool.factors(variant),
        scale=pool.manifest.variant(variant).scale,
        max_components=components,
        attention=attention,
    )


def names_of(nodes: AdapterNodes) -> list[Name]:
    """In the order of their columns."""
    columns = np.stack([nodes.part, nodes.layer, nodes.position, nodes.component], 1)
    return [(part, layer, position, component) for part, layer, position, component in columns.tolist()]


def vectors_of(sources: Sources, nodes: AdapterNodes) -> Vectors:
    """What the pipeline's adapter nodes write, float64, in the order of their columns."""
    names = names_of(nodes)
    found: dict[Name, torch.Tensor] = {}
    for layers in (sources.extra.mlp, sources.extra.attention):
        for layer, blocks in enumerate(layers):
            for block in blocks:
                for column, vector in zip(range(block.start, block.stop), block.vectors, strict=True):
                    assert names[column][1:3] == (layer, block.position)
                    found[names[column]] = vector.double()
    assert len(found) == len(nodes) == sources.extra.n_columns
    return {name: found[name] for name in names}


def expected_vectors(
    case: Case, variant: str, *, attention: bool = False, behind_norm: bool = False
) -> tuple[Vectors, torch.Tensor]:
    """By PEFT, and what the MLPs of base and adapted differ by; (layer, position, d_model).

    `behind_norm` for transcoders that write behind the norm which follows an MLP (Gemma 2).
    """
    name, _, scale = variant.partition("@")
    peft = PeftReference(case.checkpoint, name, float(scale))
    model = case.pool.replacement(variant)
    cache = recorded(model, case.ids)
    normed = model.cfg.use_normalization_before_and_after
    found: dict[Name, torch.Tensor] = {}
    difference = []
    for layer, block in enumerate(model.blocks):
        x = cache[f"blocks.{layer}.mlp.hook_in"]
        parts = peft.parts(layer, x)
        factor = torch.ones(len(x), 1, dtype=torch.float64)
        if behind_norm and normed:
            scale_of = (parts.adapted.square().mean(1, keepdim=True) + model.cfg.eps).sqrt()
            factor = block.ln2_post.w.double() / scale_of
        difference.append((parts.adapted - parts.base) * factor)
        for position in range(1, len(x)):
            for component, vector in enumerate(parts.components[position]):
                found[DOWN, layer, position, component] = vector * factor[position]
            if parts.hidden.abs().max() > 0:
                found[HIDDEN, layer, position, -1] = parts.hidden[position] * factor[position]
        if attention:
            read = cache[f"blocks.{layer}.ln1.hook_normalized"].double() * block.ln1.w.double()
            change = peft.attention(layer, read, cache[f"blocks.{layer}.attn.hook_pattern"])
            if normed:
                change = change * block.ln1_post.w / cache[f"blocks.{layer}.ln1_post.hook_scale"]
            if change.abs().max() > 0:
                found |= {(ATTENTION, layer, position, -1): row for position, row in enumerate(change)}
    return found, torch.stack(difference)


def removal_effects(local: LocalModel, vectors: Vectors, targets: Sequence[int]) -> torch.Tensor:
    """What taking each node out does to the targets' centred logits; (target, node) float64."""
    if not vectors:
        return torch.zeros(len(targets), 0, dtype=torch.float64)
    effects = local.removed(
        [name[1] for name in vectors],
        [name[2] for name in vectors],
        torch.stack(list(vectors.values())),
        attention=[name[0] == ATTENTION for name in vectors],
    )
    return effects[:, list(targets)].T


def direct_effects(case: Case, variant: str, vectors: Vectors, parts: Sequence[int]) -> torch.Tensor:
    """Of removing each node, in the attention mode, all features frozen; (target, node) float64."""
    manifest = case.pool.manifest
    base = load_replacement(manifest, manifest.variant("base"), transcoders=case.pool.transcoders)
    nothing = torch.zeros(0, 3, dtype=torch.long)
    local = LocalModel(case.pool.replacement(variant), case.ids, live=nothing, through=base)
    return removal_effects(local, {key: vectors[key] for key in sorted(vectors) if key[0] in parts}, TARGETS)


def assert_same_vectors(found: Vectors, expected: Vectors) -> None:
    """No node more or less; float32's rounding of two MLPs whose difference is small."""
    assert found.keys() == expected.keys()
    if found:
        ours, theirs = (torch.stack([each[key] for key in sorted(found)]) for each in (found, expected))
        assert (ours - theirs).abs().max() <= 2e-6 * theirs.abs().max()
