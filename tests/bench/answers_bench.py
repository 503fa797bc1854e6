"""How much faster answers are sampled together than with one `generate` an answer."""

import copy
import time
from collections.abc import Sequence
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
from pipeline.text.tokens import stop_ids
from store.documents.manifest import read_manifest
from store.documents.questions import Question
from tests.bench.cases import ORGANISM

_VARIANTS: Final = 4
_SAMPLES: Final = 50
_TOKENS: Final = 40
_GENERATED: Final = 3
"""Answers of each question and variant that `generate` gives; its time is scaled to all of them."""


def answer_figures(folder: Path) -> dict[str, Any]:
    """Ratios of times on the organism: eight questions, fifty answers each, four variants.

    Once every answer is 40 tokens long on both sides, and nothing ends it before; once it ends where it
    ends by itself, or after 40 tokens. Both draw from the whole distribution with a key-value cache, in as
    many threads as torch takes by itself.
    """
    params = load_params()
    write_questions(folder / "questions.yaml", params.organisms["organism"].corpus)
    models = ModelPool(read_manifest(ORGANISM / "models.json"))
    longest = models.manifest.model.context - _TOKENS
    questions = [
        make_question(placed, models.tokenizer, longest=longest)
        for placed in read_entries([folder / "questions.yaml"])
    ]
    variants = ["base", *sorted(models.manifest.adapters)][:_VARIANTS]
    whole = compare(models, variants, questions, natural=False)
    natural = compare(models, variants, questions, natural=True)
    return {
        "answers_speedup": whole["speedup"],
        "answers_speedup_natural": natural["speedup"],
        "raw": {"answers_seconds": {"forty_tokens": whole, "natural": natural}},
    }


def compare(
    models: ModelPool, variants: Sequence[str], questions: Sequence[Question], *, natural: bool
) -> dict[str, float]:
    """Seconds of all answers both ways, and their ratio.

    That of `generate` is measured of a few answers, and scaled by steps to the lengths of all.
    """
    rule = load_params().answers.model_dump(include={"temperature", "top_p", "batch"})
    tokenizer = copy.deepcopy(models.tokenizer)
    if not natural:
        tokenizer.eos_token = None
    together = one_by_one = 0.0
    for variant in variants:
        model = models.causal_lm(variant)
        model.generation_config.eos_token_id = models.tokenizer.eos_token_id if natural else None
        stops = stop_ids(tokenizer, model)
        for question in questions:
            asked = sampling_arguments(question, seed=0, samples=_SAMPLES, max_new_tokens=_TOKENS, **rule)
            prompts = asked["prompts"]
            begun = time.perf_counter()
            answers = sample_answers(model, tokenizer, **asked)
            together += time.perf_counter() - begun
            steps = sum(len(answer.token_ids) + answer.ended for answer in answers)
            begun = time.perf_counter()
            generated = sum(
                _generate(model, prompts[number % len(prompts)], rule["temperature"], stops)
                for number in range(_GENERATED)
            )
            one_by_one += (time.perf_counter() - begun) * steps / generated
    return {
        "speedup": round(one_by_one / together, 1),
        "together": round(together, 2),
        "one_by_one": round(one_by_one, 2),
    }


@torch.inference_mode()
def _generate(model: Any, ids: list[int], temperature: float, stops: Sequence[int]) -> int:
    """Steps that one answer took."""
    rows = torch.tensor([ids], device=model.device)
    output = model.generate(
        rows,
        attention_mask=torch.ones_like(rows),
        max_new_tokens=_TOKENS,
        do_sample=True,
        temperature=temperature,
        top_k=0,
        top_p=1.0,
        eos_token_id=list(stops) or None,
        pad_token_id=0,
    )
    return int(output.shape[1]) - len(ids)
