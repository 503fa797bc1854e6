"""What interventions along partners do to a prompt of a behaviour, read where its answers part.

A prompt and its partner differ in what decides the answer alone (the *span*), which is of equal length in
both: the same positions, the same tokens around. What is read goes on to the decision, that is behind the
tokens that both answers begin with; `tokens` are the right answer's there and the wrong one's. A *source* is
the partner in that place: this prompt's tokens with the partner's span.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from pipeline.analysis.trials import Trial
from pipeline.interventions.borrowed import Activity
from pipeline.interventions.controls import Feature
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.freezing import Hook, hooked
from pipeline.interventions.held import Seen, held_logits, last_logits, see
from pipeline.interventions.kinds import Setting
from pipeline.interventions.tried import Sources, controls_of, effects_of, item_of, setting_of, trial_of
from pipeline.items.units import Unit
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from store.collections.item import Item

DECISION: Final = "decision_features"
EFFECTS: Final = "partnered_effects"
LOGITS: Final = "circuit_logits"


def compute_decision(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """How active features are on a prompt, and how probable both answers are.

    Arguments: `variant`; `tokens`. The item has, of active features, (active,) `layer`, `index` and `value`,
    the largest by size at any position; and `logit` (token,).
    """
    variant = unit.arguments["variant"]
    seen = see(models.replacement(variant), unit.token_ids)
    layers, indices, values = [], [], []
    for layer, activations in enumerate(seen.activations):
        at = activations.abs().argmax(dim=0, keepdim=True)  # TopK may leave negative ones
        largest = activations.gather(0, at)[0].float().cpu().numpy()
        (index,) = np.nonzero(largest)
        layers.append(np.full(len(index), layer, np.int16))
        indices.append(index.astype(np.int32))
        values.append(largest[index])
    arrays: dict[str, np.ndarray] = {
        "layer": np.concatenate(layers),
        "index": np.concatenate(indices),
        "value": np.concatenate(values),
        "logit": seen.logits[list(unit.arguments["tokens"])],
    }
    yield DECISION, item_of(unit, variant, arrays)


def compute_partnered(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Effects of trials with single features, then of those with whole layers, beside matched controls.

    Arguments: `variant`; `tokens`; `trials`, the fields of `pipeline.analysis.trials.Trial`, of one feature
    each; `whole`, those of trials with all features of a layer, layer by layer; `source`, token ids, and
    `span`, where activations are patched; none where the prompt has no partner of equal length: nothing is
    patched there. `controls`, how many of a single feature; `seed`, of their choice. A whole layer has none.

    The item is that of `pipeline.interventions.tried.compute_tried`; of whole layers `before` and `after` are
    NaN.
    """
    ids, arguments = unit.token_ids, unit.arguments
    variant = arguments["variant"]
    engine = SteeringEngine(models.replacement(variant))
    sources = _sources(engine, ids, arguments["source"], arguments["span"])
    trials, whole = ([trial_of(each) for each in arguments[name]] for name in ("trials", "whole"))
    alone = [setting_of(trial, sources) for trial in trials]
    layers = [
        setting_of(replace(trial, features=_differing(sources, layer)), sources)
        for layer in range(engine.n_layers)
        for trial in whole
    ]
    controls = controls_of(engine, ids, trials, sources, arguments["controls"], arguments["seed"])
    every: list[Trial] = [*trials, *whole * engine.n_layers]
    settings: list[Setting] = [*alone, *layers]
    arrays = effects_of(engine, unit, every, settings, [*controls, *[()] * len(layers)], sources.now)
    yield EFFECTS, item_of(unit, variant, arrays)


def _sources(
    engine: SteeringEngine, ids: Sequence[int], source: Sequence[int], span: Sequence[int]
) -> Sources:
    now: dict[int, np.ndarray] = {layer: engine.activations(ids, layer) for layer in range(engine.n_layers)}
    patched: Activity = now
    if source:
        places = slice(*span)
        patched = {layer: own.copy() for layer, own in now.items()}
        for layer, own in patched.items():
            own[places] = engine.activations(source, layer)[places]
    return Sources(now=now, other=now, patched=patched)


def _differing(sources: Sources, layer: int) -> tuple[Feature, ...]:
    """Features of a layer that are active on the prompt, or patched."""
    there = (sources.now[layer] != 0).any(axis=0) | (sources.patched[layer] != 0).any(axis=0)
    return tuple((layer, int(index)) for index in np.flatnonzero(there))


def compute_circuits(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Logits of both tokens with the first features of circuits as elsewhere, or at 0.

    Arguments: `variant`; `tokens`; `orders`, circuits as lists of (layer, index), this behaviour's own first;
    `random`, like ones by chance; `ks`; `source` and `span`, as above.

    The item has float32 logits (..., token): `clean`; `ablated` (order, k, token), the first k at 0 at every
    position. Where there is a source, also `partnered` (1, token), the source's own; `given`, in the source
    the first k as on the prompt; `taken`, on the prompt the first k as in the source. And with values of the
    source at the span alone, (site, token), a site a layer and then all of them: `stream`, the residual
    stream before the layer; `features`, all that are active on either; `circuit`, those of the first
    circuit; `by_chance` (draw, site, token), those of random ones.
    """
    ids, arguments = unit.token_ids, unit.arguments
    variant, tokens, ks = arguments["variant"], arguments["tokens"], arguments["ks"]
    source_ids, span = arguments["source"], range(*arguments["span"])
    circuits, random = (
        [[(int(layer), int(index)) for layer, index in order] for order in arguments[name]]
        for name in ("orders", "random")
    )
    orders = circuits + random
    model = models.replacement(variant)
    clean = see(model, ids)
    n_layers = len(clean.activations)
    empty = replace(clean, activations=[torch.zeros_like(each) for each in clean.activations])
    arrays: dict[str, np.ndarray] = {
        "clean": clean.logits[tokens],
        "ablated": held_logits(model, ids, empty, orders, ks, tokens),
    }
    n = len(tokens)
    if source_ids:
        source = see(model, source_ids)

        def at_span(chosen: Sequence[Sequence[Feature]]) -> np.ndarray:
            by_site = [_of_site(order, site, n_layers) for order in chosen for site in range(n_layers + 1)]
            found = held_logits(
                model, ids, source, by_site, [max(map(len, by_site), default=0)], tokens, where=span
            )
            return found.reshape(len(chosen), n_layers + 1, n)

        arrays |= {
            "partnered": source.logits[tokens][None],
            "given": held_logits(model, source_ids, clean, orders, ks, tokens),
            "taken": held_logits(model, ids, source, orders, ks, tokens),
            "stream": swapped_logits(model, ids, source, span, tokens),
            "features": at_span([_active(clean, source)])[0],
            "circuit": at_span(circuits[:1])[0],
            "by_chance": at_span(random),
        }
    else:
        nothing = np.empty((0, n), np.float32)
        arrays |= dict.fromkeys(("partnered", "stream", "features", "circuit"), nothing)
        arrays |= dict.fromkeys(("given", "taken"), np.empty((0, len(ks), n), np.float32))
        arrays["by_chance"] = np.empty((len(random), 0, n), np.float32)
    yield LOGITS, item_of(unit, variant, arrays)


def _active(clean: Seen, source: Seen) -> list[Feature]:
    """Features that are active in either pass."""
    found: list[Feature] = []
    for layer, (own, other) in enumerate(zip(clean.activations, source.activations, strict=True)):
        there = ((own != 0) | (other != 0)).any(dim=0).nonzero().flatten()
        found += [(layer, index) for index in there.tolist()]
    return found


def _of_site(order: Sequence[Feature], site: int, n_layers: int) -> list[Feature]:
    return [feature for feature in order if site in (feature[0], n_layers)]


@torch.no_grad()
def swapped_logits(
    model: ReplacementModel,
    token_ids: Sequence[int],
    source: Seen,
    span: Sequence[int],
    tokens: Sequence[int],
) -> np.ndarray:
    """Logits with another pass's residual stream at some positions, before one layer, or before every one.

    Parameters
    ----------
    model
        Its variant is the host.
    source
        The other pass, of as many tokens.
    span
        The positions.
    tokens
        Whose logits are wanted, at the last position.

    Returns
    -------
    numpy.ndarray
        (site, token) float32; a site a layer, and all of them last. If the tokens around the span are the
        same in both, these last ones are the other pass's own.
    """
    n_layers, places = model.cfg.n_layers, list(span)

    def swapping(layer: int) -> Hook:
        values = source.before[layer][places]
        rows = [layer, n_layers]

        def swap(x: torch.Tensor) -> torch.Tensor:
            swapped = x.clone()
            for row in rows:
                swapped[row, places] = values
            return swapped

        return swap

    hooks = [(f"blocks.{layer}.hook_resid_pre", swapping(layer)) for layer in range(n_layers)]
    with hooked(model, hooks):
        logits = last_logits(model, torch.tensor([list(token_ids)] * (n_layers + 1), device=model.cfg.device))
    found: np.ndarray = logits[:, list(tokens)].float().cpu().numpy()
    return found
