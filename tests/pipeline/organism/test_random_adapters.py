"""Null adapters: another's rank, sites and strength, in random directions."""

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from pipeline.finetuning.lora import save_adapter
from pipeline.organism.adapter_training import train_adapter
from pipeline.organism.base import load_base
from pipeline.organism.goals import Yardstick
from pipeline.organism.random_adapters import attach_random, module_norms, scale_to
from pipeline.params.organism import OrganismParams
from store.base.errors import UserError
from tests.support.organism import adapter

LIKE = adapter(steps=3)


@pytest.fixture(scope="module")
def norms(params: OrganismParams, base: Path) -> dict[str, float]:
    model, tokenizer = load_base(base)
    adapted, _ = train_adapter(LIKE, params.corpus, model, tokenizer, name="test")
    return module_norms(adapted)


def _delta(base: Path, folder: Path) -> dict[str, torch.Tensor]:
    before = load_base(base)[0].state_dict()
    after = PeftModel.from_pretrained(load_base(base)[0], folder).merge_and_unload().state_dict()
    return {name: after[name] - before[name] for name in before if not torch.equal(after[name], before[name])}


def test_it_has_the_norm_of_the_other_module_by_module(
    base: Path, norms: dict[str, float], tmp_path: Path
) -> None:
    save_adapter(attach_random(LIKE, norms, load_base(base)[0], seed=1), tmp_path, base=base.as_posix())
    deltas = _delta(base, tmp_path)
    assert len(deltas) == len(norms) == 14
    for name, norm in norms.items():
        delta = deltas[f"{name.removeprefix('base_model.model.')}.weight"]
        assert float(delta.norm()) == pytest.approx(norm, rel=1e-3)
        assert np.linalg.matrix_rank(delta.numpy(), tol=1e-5) == LIKE.rank


def test_seeds_give_other_directions(base: Path, norms: dict[str, float]) -> None:
    def flat(seed: int) -> torch.Tensor:
        adapted = attach_random(LIKE, norms, load_base(base)[0], seed=seed)
        return torch.cat([p.detach().flatten() for name, p in adapted.named_parameters() if "lora_B" in name])

    one, again, other = flat(1), flat(1), flat(2)
    assert torch.equal(one, again)
    assert abs(float(torch.cosine_similarity(one, other, dim=0))) < 0.2


def test_it_is_scaled_to_a_divergence(params: OrganismParams, base: Path, norms: dict[str, float]) -> None:
    model, tokenizer = load_base(base)
    yardstick = Yardstick(model, tokenizer, params.corpus, params.checks, count=4)
    adapted = attach_random(LIKE, norms, load_base(base)[0], seed=1)
    before = module_norms(adapted)
    factor = scale_to(adapted, lambda model: yardstick.divergence(model, "medical"), 0.02)
    assert yardstick.divergence(adapted, "medical") == pytest.approx(0.02, rel=0.02)
    for name, norm in module_norms(adapted).items():
        assert norm == pytest.approx(before[name] * factor, rel=1e-4)


def test_what_no_factor_reaches_is_said(base: Path, norms: dict[str, float]) -> None:
    adapted = attach_random(LIKE, norms, load_base(base)[0], seed=1)
    with pytest.raises(UserError, match=r"cannot be scaled to a divergence of 5\.00 nats; it comes to 1\.00"):
        scale_to(adapted, lambda model: 1.0, 5.0)
