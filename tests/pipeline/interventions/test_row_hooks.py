"""Settings done in transformers' model equal the engine's, row by row, with a cache and padding."""

import shutil
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention, Setting, Vector
from pipeline.interventions.results import Request
from pipeline.interventions.row_hooks import as_setting
from pipeline.interventions.steered_answers import forced_log_prob, sample_steered
from pipeline.models.pool import ModelPool
from pipeline.text.tokens import stop_ids
from store.base.errors import UserError
from tests.support.builders import make_checkpoint

PROMPTS = ((1, 40, 57, 90), (1, 12, 13, 14, 15, 16, 17), (1, 200))
ARCHITECTURES = ("llama", "qwen3", "gemma3")
HOOKS = (
    ("mlp.hook_in", "mlp.hook_out"),
    ("ln2.hook_normalized", "hook_mlp_out"),
    ("hook_resid_mid", "hook_mlp_out"),
)


def settings_of(d_model: int) -> list[Setting]:
    direction = tuple(np.random.default_rng(0).standard_normal(d_model).round(3).tolist())
    return [
        (),
        as_setting([{"layer": 1, "feature": 5, "mode": "add", "value": 3.0}]),
        as_setting([{"layer": 0, "feature": of, "mode": "ablate", "value": 0.0} for of in range(9, 19)]),
        as_setting(
            [
                {"layer": at, "feature": of, "mode": "ablate", "value": 0.0}
                for at in (0, 2)
                for of in range(40)
            ]
        ),
        as_setting([{"layer": 2, "direction": list(direction), "value": 0.5, "site": "residual"}]),
    ]


@pytest.fixture(scope="module", params=list(zip(ARCHITECTURES, HOOKS, strict=True)), ids=lambda each: each[0])
def pool(request: Any, tmp_path_factory: pytest.TempPathFactory) -> ModelPool:
    """One architecture and one pair of hooks a case: all of both are met."""
    architecture, (read, write) = request.param
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("x"), architecture=architecture)
    # Of a Gemma-3 that is called so, the first four positions have no features.
    model = shutil.copytree(checkpoint.base, checkpoint.folder / f"{architecture.replace('a3', 'a-3')}-it")
    path = checkpoint.transcoders / "config.yaml"
    config = yaml.safe_load(path.read_text()) | {"feature_input_hook": read, "feature_output_hook": write}
    path.write_text(yaml.safe_dump(config))
    return ModelPool(checkpoint.manifest(model=str(model)))


def sampled(pool: ModelPool, settings: Sequence[Setting], asked: Sequence[int]) -> list[list[list[int]]]:
    model = pool.causal_lm("general@1.0")
    return sample_steered(
        model,
        pool.transcoders,
        settings,
        prompts=PROMPTS,
        asked=asked,
        seeds=list(range(10, 10 + len(asked))),
        steps=9,
        temperature=1.0,
        top_p=1.0,
        stops=stop_ids(pool.tokenizer, model),
    )


def test_what_is_forced_is_as_probable_as_to_the_engine(pool: ModelPool) -> None:
    engine = SteeringEngine(pool.replacement("general@1.0"))
    settings = settings_of(pool.causal_lm("general@1.0").config.hidden_size)
    texts = [(prompt, (30, 31, 90)) for prompt in PROMPTS]
    found = forced_log_prob(pool.causal_lm("general@1.0"), pool.transcoders, settings, texts)
    requests = [
        Request(token_ids=prompt, setting=setting, forced=answer)
        for setting in settings
        for prompt, answer in texts
    ]
    logits = engine.forced(requests)
    expected = [
        torch.from_numpy(each[:-1]).log_softmax(-1)[range(3), list(request.forced)].mean().item()
        for each, request in zip(logits, requests, strict=True)
    ]
    np.testing.assert_allclose(found.ravel(), expected, atol=2e-5)
    assert (np.abs(found[1:] - found[0]).max(axis=1) > 1e-3).all(), "each setting does something"


def test_answers_are_drawn_from_the_engines_distribution(pool: ModelPool) -> None:
    engine = SteeringEngine(pool.replacement("general@1.0"))
    settings = settings_of(pool.causal_lm("general@1.0").config.hidden_size)
    asked = [0, 1, 2, 1]
    together = sampled(pool, settings, asked)
    # One setting by itself, and others beside it, in another order: the same answers.
    assert sampled(pool, settings[::-1], asked) == together[::-1]
    assert sampled(pool, settings[3:4], asked) == together[3:4]
    assert sampled(pool, [settings[1]], asked) != together[:1]
    # Each token is the first up to which more than u of the probability lies, by the engine's logits.
    for setting, answers in zip(settings, together, strict=True):
        for row, (prompt, tokens) in enumerate(zip(asked, answers, strict=True)):
            (logits,) = engine.forced(
                [Request(token_ids=PROMPTS[prompt], setting=setting, forced=tuple(tokens))]
            )
            share = torch.from_numpy(logits).double().softmax(-1).cumsum(-1).numpy()
            drawn = torch.rand(9, generator=torch.Generator().manual_seed(10 + row)).tolist()
            for place, token in enumerate(tokens):
                before = share[place, token - 1] if token else 0.0
                assert before - 1e-4 <= drawn[place] <= share[place, token] + 1e-4


def test_no_hook_stays_also_after_a_failure(pool: ModelPool) -> None:
    model = pool.causal_lm("general@1.0")

    def count() -> int:
        return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())

    before = count()
    sampled(pool, settings_of(model.config.hidden_size), [0])
    assert count() == before
    wrong = (Vector(layer=0, direction=(1.0,), value=1.0, where="always"),)
    for setting in (wrong, (Intervention(layer=9, feature=0, mode="ablate", value=0.0, where="always"),)):
        with pytest.raises(UserError, match=r"layer 9|is 32 wide"):
            sampled(pool, [setting], [0])
    assert count() == before
