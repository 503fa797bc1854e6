"""How much faster answers under many settings are sampled together than with one `generate` a setting."""

import statistics
import time
from pathlib import Path
from typing import Any, Final

import torch

from pipeline.evaluation.asking import Asking
from pipeline.evaluation.question_files import read_entries
from pipeline.evaluation.questions import make_question
from pipeline.interventions.row_hooks import as_setting
from pipeline.interventions.steered_answers import sample_steered
from pipeline.models.mlp_sites import on_write
from pipeline.models.pool import ModelPool
from pipeline.organism.build import write_questions
from pipeline.params.project import load_params
from pipeline.text.tokens import stop_ids
from store.documents.manifest import read_manifest
from tests.bench.cases import ORGANISM

_SAMPLES: Final = 20
_TOKENS: Final = 40
_TOGETHER: Final = 6
"""Settings of one batch: about as many answers as the stage has in one."""
_ALONE: Final = 2
"""Settings that `generate` is called for in each round."""
_ROUNDS: Final = 7
_VALUE: Final = 2.0


def steered_figures(folder: Path) -> dict[str, Any]:
    """Ratio of times a setting on the organism: eight questions, twenty answers each, one feature added.

    transformers' `generate` reads all questions of a setting as one padded batch, with a hook that adds the
    feature's decoder. Both end where answers end, or after 40 tokens; one thread, as the stage has.
    """
    params = load_params()
    write_questions(folder / "questions.yaml", params.organisms["organism"].corpus)
    models = ModelPool(read_manifest(ORGANISM / "models.json"))
    longest = models.manifest.model.context - _TOKENS
    entries = read_entries([folder / "questions.yaml"])
    questions = tuple(make_question(each, models.tokenizer, longest=longest) for each in entries)
    sampling = {"max_new_tokens": _TOKENS, "temperature": 1.0, "top_p": 1.0}
    asked = Asking(questions=questions, each=_SAMPLES, seed=0, sampling=sampling).arguments
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _together(models, asked, 1)
        ratios = [_alone(models, asked) / _together(models, asked, _TOGETHER) for _ in range(_ROUNDS)]
    finally:
        torch.set_num_threads(threads)
    return {
        "steered_answers_speedup": round(statistics.median(ratios), 1),
        "raw": {"steered_answers_speedups": ratios},
    }


def _together(models: ModelPool, asked: dict[str, Any], n: int) -> float:
    """Seconds a setting."""
    model = models.causal_lm("base")
    layers = len(models.transcoders)
    settings = [
        as_setting([{"layer": number % layers, "feature": 7 * number + 3, "mode": "add", "value": _VALUE}])
        for number in range(n)
    ]
    begun = time.perf_counter()
    sample_steered(
        model,
        models.transcoders,
        settings,
        prompts=asked["prompts"],
        asked=asked["asked"],
        seeds=asked["seeds"],
        steps=_TOKENS,
        temperature=1.0,
        top_p=1.0,
        stops=stop_ids(models.tokenizer, model),
    )
    return (time.perf_counter() - begun) / n


@torch.inference_mode()
def _alone(models: ModelPool, asked: dict[str, Any]) -> float:
    """Seconds a setting."""
    model, transcoders = models.causal_lm("base"), models.transcoders
    rows = [asked["prompts"][prompt] for prompt in asked["asked"]]
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    begun = time.perf_counter()
    for number in range(_ALONE):
        layer = number % len(transcoders)
        added = _VALUE * transcoders[layer].W_dec[7 * number + 3].detach()
        hook = on_write(model, layer, transcoders.feature_output_hook, added.__add__)
        model.generate(
            ids,
            attention_mask=mask,
            max_new_tokens=_TOKENS,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            top_p=1.0,
            eos_token_id=list(stop_ids(models.tokenizer, model)) or None,
            pad_token_id=0,
        )
        hook.remove()
    return (time.perf_counter() - begun) / _ALONE
