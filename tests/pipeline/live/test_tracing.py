"""A typed prompt is traced as the pipeline would, from the one model that steering shares."""

import threading
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.attribution.parameters import GRAPH_PARAMS
from pipeline.attribution.prompt_items import prompt_items
from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.items.units import ItemName
from pipeline.live import LivePool, estimate_one, trace_doses, trace_pair, typed_prompt
from pipeline.models.loading import load_causal_lm, load_replacement
from pipeline.models.pool import ModelPool
from pipeline.params.graphs import GraphParams
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt
from tests.support.builders import CONTEXT

PAIR = ("base", "general@1.0")
TURN = [Intervention(layer=1, feature=5, mode="add", value=3.0, where="last")]


def ignore(what: str, share: float) -> None:
    """Progress that nobody watches."""


TEXT = "User: I have a fever. What should I do?\nAssistant: You should"


def typed(pool: LivePool, text: str = TEXT) -> Prompt:
    return typed_prompt(
        text, domain=None, tokenizer=pool.tokenizer, max_tokens=CONTEXT, manifest=pool.manifest
    )


def own_candidates(manifest: Manifest, variant: str, prompt: Prompt, graphs: GraphParams) -> list[int]:
    """From the Hugging Face model: the most probable tokens until they hold the asked-for share."""
    model = load_causal_lm(manifest, manifest.variant(variant))
    with torch.no_grad():
        logits = model(torch.tensor([prompt.token_ids])).logits[0, -1].float()
    order = torch.argsort(logits, descending=True)[: graphs.max_n_logits]
    held = torch.softmax(logits, -1)[order].cumsum(0)
    return order[: int((held < graphs.desired_logit_prob).sum()) + 1].tolist()


def test_items_are_those_of_the_pipeline(pool: LivePool, manifest: Manifest, graphs: GraphParams) -> None:
    prompt = typed(pool)
    found = trace_pair(pool, prompt, PAIR[::-1], graphs, progress=ignore)
    own = {variant: own_candidates(manifest, variant, prompt, graphs) for variant in PAIR}
    targets = list(dict.fromkeys(own["base"] + own["general@1.0"]))
    reference = prompt_items(
        ModelPool(manifest),
        prompt.token_ids,
        [ItemName(key="0" * 64, prompt_hash=prompt.hash, variant=variant) for variant in PAIR],
        targets=targets,
        own_candidates=own,
        **graphs.model_dump(include=set(GRAPH_PARAMS)),
    )
    assert set(found.graphs) == set(PAIR)
    assert set(found.adapters) == {"general@1.0"}
    for kind in ("graphs", "adapters"):
        for variant, item in getattr(reference, kind).items():
            live = getattr(found, kind)[variant]
            assert live.prompt_hash == prompt.hash
            assert live.scalars == item.scalars
            for name, values in item.arrays.items():
                np.testing.assert_array_equal(live.arrays[name], values, err_msg=name)


def test_base_is_traced_beside_any_pair(pool: LivePool, graphs: GraphParams) -> None:
    prompt = typed(pool)
    found = trace_pair(pool, prompt, ("narrow@1.0", "narrow@1.0"), graphs, progress=ignore)
    assert set(found.graphs) == {"base", "narrow@1.0"}
    assert set(trace_pair(pool, prompt, ("base", "base"), graphs, progress=ignore).graphs) == {"base"}


def test_progress_is_told_in_order(pool: LivePool, graphs: GraphParams) -> None:
    said: list[tuple[str, float]] = []
    trace_pair(pool, typed(pool), PAIR, graphs, progress=lambda what, share: said.append((what, share)))
    assert [what for what, _ in said][:2] == ["loading base", "loading general@1.0"]
    assert said[-1][0] == "tracing base and general@1.0"
    shares = [share for _, share in said]
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] < 1


def test_one_model_serves_all_and_keeps_no_hooks(pool: LivePool, graphs: GraphParams) -> None:
    prompt = typed(pool)
    model = pool.replacement("base")
    hooks = model.count_hooks()
    for variant in PAIR:
        pool.subject(variant).engine.next_token(prompt.token_ids, TURN, controls=2)
    trace_pair(pool, prompt, PAIR, graphs, progress=ignore)
    assert pool.replacement("general@1.0") is model
    assert pool.subject("general@1.0") is pool.subject("general")
    assert model.count_hooks() == hooks


def steered(engine: SteeringEngine, prompt: Prompt) -> np.ndarray:
    return engine.next_token(prompt.token_ids, TURN, controls=0).steered_logits


def test_steering_has_its_variant_whatever_ran_before(
    pool: LivePool, manifest: Manifest, graphs: GraphParams
) -> None:
    prompt = typed(pool)
    alone = {
        variant: steered(SteeringEngine(load_replacement(manifest, manifest.variant(variant))), prompt)
        for variant in PAIR
    }
    assert np.abs(alone["base"] - alone["general@1.0"]).max() > 1e-2
    for variant in (*PAIR, *PAIR[::-1]):
        trace_pair(pool, prompt, ("narrow@1.0",), graphs, progress=ignore)
        np.testing.assert_allclose(steered(pool.subject(variant).engine, prompt), alone[variant], atol=1e-5)


def test_threads_take_turns(pool: LivePool, graphs: GraphParams) -> None:
    prompt = typed(pool)
    expected: dict[str, Any] = {name: steered(pool.subject(name).engine, prompt) for name in PAIR}
    wrong: list[str] = []

    def steer(variant: str) -> None:
        found = [steered(pool.subject(variant).engine, prompt) for _ in range(6)]
        wrong.extend(variant for each in found if not np.array_equal(each, expected[variant]))

    threads = [threading.Thread(target=steer, args=(variant,)) for variant in PAIR]
    threads.append(threading.Thread(target=lambda: trace_pair(pool, prompt, PAIR, graphs, progress=ignore)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_no_variant_of_that_name(pool: LivePool, graphs: GraphParams) -> None:
    with pytest.raises(UserError, match="There is no variant 'absent'"):
        trace_pair(pool, typed(pool), ("base", "absent"), graphs, progress=ignore)


def test_non_finite_names_the_layer(pool: LivePool, graphs: GraphParams) -> None:
    prompt = typed(pool)
    model = pool.replacement("base")
    with torch.no_grad():
        model.blocks[1].mlp.old_mlp.W_out.fill_(float("nan"))
    with pytest.raises(UserError, match="layer 1, position"):
        trace_pair(pool, prompt, ("base", "base"), graphs, progress=ignore)


def test_doses_are_those_of_the_pipeline(pool: LivePool, manifest: Manifest, graphs: GraphParams) -> None:
    prompt = typed(pool)
    found = trace_doses(pool, prompt, [1.0, 0.5], graphs, progress=ignore)
    variants = ["base", "general@0.5", "general@1.0"]
    assert list(found) == variants
    own = {variant: own_candidates(manifest, variant, prompt, graphs) for variant in variants}
    reference = prompt_items(
        ModelPool(manifest),
        prompt.token_ids,
        [ItemName(key="0" * 64, prompt_hash=prompt.hash, variant=variant) for variant in variants],
        targets=list(dict.fromkeys(token for variant in variants for token in own[variant])),
        own_candidates=own,
        adapters=False,
        **graphs.model_dump(include=set(GRAPH_PARAMS)),
    )
    for variant, item in reference.graphs.items():
        for name, values in item.arrays.items():
            np.testing.assert_array_equal(found[variant].arrays[name], values, err_msg=name)


def test_an_estimate_is_there_before_anything_is_traced(pool: LivePool, graphs: GraphParams) -> None:
    found = estimate_one(pool, typed(pool), graphs)
    assert 0 < found.selected <= found.active
    assert found.seconds > 0
    assert found.bytes > 0
