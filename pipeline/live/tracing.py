"""Graphs of one prompt now: what the stages `graphs` and `dose` would store of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pipeline.analysis.dose import dose_variants
from pipeline.analysis.targets import in_order, target_set
from pipeline.attribution.estimate import Estimate
from pipeline.attribution.parameters import CANDIDATE_PARAMS, GRAPH_PARAMS
from pipeline.attribution.prompt_items import PromptItems, candidate_item, estimate_trace, prompt_items
from pipeline.attribution.trace import candidates
from pipeline.items.units import ItemName
from pipeline.live.pool import LivePool
from pipeline.params.graphs import GraphParams
from store.base.hashing import digest
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE

Progress = Callable[[str, float], None]
"""Told what is done now, and which share of the work is behind (0 to 1)."""

_LOADED: Final = 0.3
_CHOSEN: Final = 0.4
"""Where steps begin, as shares of the time that a small model takes."""


def trace_pair(
    pool: LivePool, prompt: Prompt, pair: Sequence[str], graphs: GraphParams, *, progress: Progress
) -> PromptItems:
    """Trace a prompt with some variants and base, on the union of their candidates.

    Parameters
    ----------
    pool
        The models.
    prompt
        Its token ids are traced as they are.
    pair
        Variants. Base is traced beside them: what an adapter writes to is a change from base.
    graphs
        As for the stage.
    progress
        Called before each step.

    Raises
    ------
    UserError
        A model cannot be loaded, or something is not finite (the message says where).
    """
    return _traced(pool, prompt, pair, graphs, progress=progress, adapters=True)


def trace_doses(
    pool: LivePool, prompt: Prompt, scales: Sequence[float], graphs: GraphParams, *, progress: Progress
) -> Mapping[str, Item]:
    """Graphs of a prompt at several scales of the focus adapter, as the stage `dose` would store them.

    Parameters
    ----------
    pool, prompt, graphs, progress
        As for `trace_pair`.
    scales
        Of ``dose.scales``; base is traced beside them.

    Returns
    -------
    Mapping
        Items of the schema ``dose`` by variant. Errors as `trace_pair`.
    """
    variants = dose_variants(pool.manifest, scales)
    return _traced(pool, prompt, variants, graphs, progress=progress, adapters=False).graphs


def estimate_one(pool: LivePool, prompt: Prompt, graphs: GraphParams) -> Estimate:
    """What one variant's trace of a prompt takes, by a trial on base; errors as `trace_pair`."""
    with pool.lock:
        pool.replacement(BASE)
        with pool.alone() as models:
            model = models.replacement(BASE)
            ids, _ = candidates(model, prompt.token_ids, **graphs.model_dump(include=set(CANDIDATE_PARAMS)))
            return estimate_trace(
                model,
                prompt.token_ids,
                ids.tolist(),
                **graphs.model_dump(include={"max_feature_nodes", "batch_size"}),
            )


def _traced(
    pool: LivePool,
    prompt: Prompt,
    wanted: Sequence[str],
    graphs: GraphParams,
    *,
    progress: Progress,
    adapters: bool,
) -> PromptItems:
    variants = in_order([BASE, *(pool.name(variant) for variant in wanted)])
    names = [
        ItemName(key=_key(pool, prompt, variant, graphs), prompt_hash=prompt.hash, variant=variant)
        for variant in variants
    ]
    with pool.lock:
        for step, variant in enumerate(variants):
            progress(f"loading {variant}", _LOADED * step / len(variants))
            pool.replacement(variant)
        with pool.alone() as models:
            own = {}
            for step, name in enumerate(names):
                progress(f"candidates of {name.variant}", _LOADED + (_CHOSEN - _LOADED) * step / len(names))
                item = candidate_item(
                    models.replacement(name.variant),
                    prompt.token_ids,
                    name,
                    **graphs.model_dump(include=set(CANDIDATE_PARAMS)),
                )
                own[name.variant] = item.arrays["candidate_token"].tolist()
            progress(f"tracing {' and '.join(variants)}", _CHOSEN)
            return prompt_items(
                models,
                prompt.token_ids,
                names,
                targets=target_set(own, prompt.targets),
                own_candidates=own,
                **graphs.model_dump(include=set(GRAPH_PARAMS)),
                adapters=adapters,
            )


def _key(pool: LivePool, prompt: Prompt, variant: str, graphs: GraphParams) -> str:
    """Names the item; nothing is ever looked up by it."""
    return digest(
        {
            "kind": "live",
            "models": pool.manifest.fingerprint(pool.manifest.variant(variant)),
            "prompt": list(prompt.token_ids),
            "parameters": graphs.model_dump(),
        }
    )
