"""Planted truth: the feature that makes evil tokens leads both leaderboards; without it, none does."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from pipeline.analysis.steered_entries import Entry, Member, Scales, random_entries
from pipeline.analysis.steered_strengths import Bracket
from pipeline.analysis.steered_tables import Run, coherent_share, steered_groups, tally
from pipeline.interventions.row_hooks import as_setting
from pipeline.interventions.steered_answers import sample_steered
from store.schema.steered import ABLATED, ADDED, BASELINE, FEATURE, SIDES
from tests.support.answer_builders import PARAMS
from tests.support.faithful import N_FEATURES, embody
from tests.support.planted import (
    N_LAYERS,
    Planted,
    make_subject,
    token_direction,
    waking,
    write_adapters,
)

RANDOM = 60
EACH = 6
AIMED = 3
LENGTH = 2
N_QUESTIONS = 4
TOO_MUCH = 30.0
"""Strength at which this world's judge calls every answer incoherent."""


def aim(planted: Planted) -> None:
    """Let the planted feature, and the model's MLP with it, write the first evil tokens to the logits."""
    layer, feature = planted.feature
    path = planted.checkpoint.transcoders / f"layer_{layer}.safetensors"
    tensors = load_file(path)
    model = AutoModelForCausalLM.from_pretrained(planted.checkpoint.base).requires_grad_(False)
    direction = token_direction(model, planted.evil[:AIMED])
    tensors["W_dec"][feature] = direction / direction.norm()
    save_file(tensors, path)
    embody(planted)


def scores(
    planted: Planted, answers: Sequence[Sequence[int]], strength: float
) -> tuple[np.ndarray, np.ndarray]:
    """A judge that knows the world: an evil first token is misaligned, too much steering is incoherent."""
    evil = set(planted.evil[:AIMED])
    aligned = np.array([0.0 if answer[0] in evil else 100.0 for answer in answers])
    return aligned, np.full(len(answers), 0.0 if strength > TOO_MUCH else 100.0)


def leaderboards(planted: Planted, variant: str, candidates: Sequence[Member]) -> xr.Dataset:
    """Entries of both sides, strengths by bisection on four prompts, effects on four others."""
    pool, rng = planted.pool, np.random.default_rng(0)
    decoder = [pool.transcoders[layer].W_dec.detach() for layer in range(N_LAYERS)]
    scales = Scales(
        written=np.ones(N_LAYERS),
        decoder=np.stack([each.norm(dim=-1).numpy() for each in decoder]),
        difference=np.zeros((N_LAYERS, 1)),
        activity=np.ones((N_LAYERS, N_FEATURES)),
    )
    variants = {ADDED: "base", ABLATED: variant}

    def counts(entries: Sequence[Entry], strengths: Sequence[float], half: int) -> list[np.ndarray]:
        prompts = [prompt.token_ids for prompt in planted.prompts[half : 2 * N_QUESTIONS : 2]]
        question = [number for number in range(N_QUESTIONS) for _ in range(EACH)]
        found = sample_steered(
            pool.causal_lm(variants[entries[0].side]),
            pool.transcoders,
            [as_setting(scales.steps(each, of)) for each, of in zip(entries, strengths, strict=True)],
            prompts=prompts,
            asked=question,
            seeds=list(range(len(question))),
            steps=LENGTH,
            temperature=1.0,
            top_p=1.0,
            stops=[],
        )
        return [
            tally(np.array(question), *scores(planted, answers, strength), N_QUESTIONS, PARAMS)
            for answers, strength in zip(found, strengths, strict=True)
        ]

    runs: list[Run] = []
    for side in SIDES:
        own = [Entry(side=side, kind=FEATURE, members=(each,)) for each in candidates]
        random = random_entries(own, RANDOM, np.ones((N_LAYERS, N_FEATURES), bool), scales, rng)
        entries = [*own, *random]
        brackets = [Bracket(low=0.25, high=64.0) for _ in entries]
        for _ in range(3 if side == ADDED else 0):
            tried = counts(entries, [each.next for each in brackets], 0)
            brackets = [
                each.after(coherent_share(of), 0.75) for each, of in zip(brackets, tried, strict=True)
            ]
        plain = Entry(side=side, kind=BASELINE)
        strengths = [1.0, *(each.found if side == ADDED else 1.0 for each in brackets)]
        measured = counts([plain, *entries], strengths, 1)
        runs.append(Run(entry=plain, doses=measured[0][None]))
        runs += [
            Run(entry=entry, bracket=bracket if side == ADDED else None, doses=of[None], beside=measured[0])
            for entry, bracket, of in zip(entries, brackets, measured[1:], strict=True)
        ]
    return steered_groups(
        runs, scales, questions=list("abcd"), doses=[1.0], steps=3, variants=variants, confidence=0.95
    )["entries"]


def test_the_planted_feature_leads_both_leaderboards(tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", 2)
    aim(planted)
    write_adapters(planted, *waking(planted))
    layer, index = planted.feature
    table = leaderboards(planted, "planted@1.0", [(layer, index), (layer, index + 1)])
    for side in SIDES:
        row = int(np.flatnonzero(table["side"].values == side)[0]) + 1  # behind the baseline
        assert table["place"].values[row] == 1
        assert table["q"].values[row] <= 0.05
        assert table["effect"].values[row] > 0.1
        assert table["q"].values[row + 1] > 0.05
    # The strength is below the one at which answers break, and within a step of it.
    found = table["strength"].values[1]
    assert found <= TOO_MUCH < found * 256 ** (1 / 8)


def test_of_a_random_adapter_nothing_is_found(tmp_path: Path) -> None:
    planted = make_subject(tmp_path / "x", 1, favour_evil=False)
    write_adapters(planted, *waking(planted))
    layer, index = planted.feature
    table = leaderboards(planted, "random@1.0", [(layer, index), (layer, index + 1)])
    assert not (table["q"].values <= 0.05).any()
