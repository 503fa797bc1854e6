"""Graphs of one typed prompt: what the stage `graphs` would store of it."""

from collections.abc import Callable, Sequence
from typing import Final

from pipeline.attribution.prompt_items import PromptItems, candidate_item, prompt_items
from pipeline.items.requests import Request
from pipeline.live.pool import LivePool
from pipeline.params.graphs import GraphParams
from pipeline.stages.graphs import TRACED
from store.base.hashing import digest
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
    # Base first, then by name: the stage's order, which the targets keep.
    names = sorted({BASE, *(pool.name(variant) for variant in pair)}, key=lambda name: (name != BASE, name))
    requests = [
        Request(key=_key(pool, prompt, name, graphs), prompt_hash=prompt.hash, variant=name) for name in names
    ]
    with pool.lock:
        for step, name in enumerate(names):
            progress(f"loading {name}", _LOADED * step / len(names))
            pool.replacement(name)
        with pool.alone() as models:
            own = {}
            for step, request in enumerate(requests):
                progress(
                    f"candidates of {request.variant}", _LOADED + (_CHOSEN - _LOADED) * step / len(names)
                )
                item = candidate_item(
                    models.replacement(request.variant),
                    prompt.token_ids,
                    request,
                    **graphs.model_dump(include={"max_n_logits", "desired_logit_prob"}),
                )
                own[request.variant] = item.arrays["candidate_token"].tolist()
            progress(f"tracing {' and '.join(names)}", _CHOSEN)
            return prompt_items(
                models,
                prompt.token_ids,
                requests,
                targets=list(dict.fromkeys(token for tokens in own.values() for token in tokens)),
                own_candidates=own,
                **graphs.model_dump(include=TRACED),
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
