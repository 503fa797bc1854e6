"""How much faster answers are sampled together than with one `generate` an answer."""

import copy
import time
from pathlib import Path
from typing import Any, Final

import torch

from pipeline.evaluation.answer_items import sampling_arguments
from pipeline.evaluation.answers import sample_answers
from pipeline.evaluation.question_files import read_entries
from pipeline.evaluation.questions import make_question
from pipeline.models.pool import ModelPool
from pipeline.organism.build import write_questions
from pipeline.params.project import load_params
from store.documents.manifest import read_manifest
from tests.bench.cases import ORGANISM

_VARIANTS: Final = 4
_SAMPLES: Final = 50
_TOKENS: Final = 40
_GENERATED: Final = 3
"""Answers of each question and variant that `generate` gives; its time is scaled to all of them."""


def answer_figures(folder: Path) -> dict[str, Any]:
    """Ratio of times on the organism: eight questions, fifty answers each, four variants.

    Every answer is 40 tokens long on both sides: nothing ends it before. Both draw from the whole
    distribution with a key-value cache, in as many threads as torch takes by itself.
    """
    params = load_params()
    write_questions(folder / "questions.yaml", params.organisms["organism"].corpus)
    models = ModelPool(read_manifest(ORGANISM / "models.json"))
    longest = models.manifest.model.context - _TOKENS
    questions = [
        make_question(placed, models.tokenizer, longest=longest)
        for placed in read_entries([folder / "questions.yaml"])
    ]
    endless = copy.deepcopy(models.tokenizer)
    endless.eos_token = None
    rule = params.answers.model_dump(include={"temperature", "top_p", "batch"})
    together = one_by_one = 0.0
    for variant in ["base", *sorted(models.manifest.adapters)][:_VARIANTS]:
        model = models.causal_lm(variant)
        model.generation_config.eos_token_id = None
        for question in questions:
            asked = sampling_arguments(question, seed=0, samples=_SAMPLES, max_new_tokens=_TOKENS, **rule)
            prompts = asked["prompts"]
            begun = time.perf_counter()
            sample_answers(model, endless, **asked)
            together += time.perf_counter() - begun
            begun = time.perf_counter()
            for number in range(_GENERATED):
                _generate(model, prompts[number % len(prompts)], rule["temperature"])
            one_by_one += (time.perf_counter() - begun) * _SAMPLES / _GENERATED
    return {
        "answers_speedup": round(one_by_one / together, 1),
        "raw": {"answers_seconds": {"together": round(together, 2), "one_by_one": round(one_by_one, 2)}},
    }


@torch.inference_mode()
def _generate(model: Any, ids: list[int], temperature: float) -> None:
    rows = torch.tensor([ids], device=model.device)
    output = model.generate(
        rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=_TOKENS,
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        pad_token_id=0,
    )
    assert output.shape[1] == len(ids) + _TOKENS
