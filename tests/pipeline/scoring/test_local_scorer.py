"""A judge in a folder scores answers by its next token, or in text where its tokenizer splits numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.judging.local_judge import LocalModel
from pipeline.params.judges import LocalJudge
from pipeline.params.runtime import RuntimeParams
from pipeline.scoring.asked_scorer import AskedScorer
from tests.support.builders import make_checkpoint
from tests.support.chats import give_template
from tests.support.judging_model import lengthen_context, make_speaker
from tests.support.scoring import MIN_MASS, PROMPTS, make_answers, scored


@pytest.fixture(scope="module")
def babbler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small random Llama that chats; its tokenizer splits 100, until numbers are added."""
    base = make_checkpoint(tmp_path_factory.mktemp("babbler"), n_layers=2).base
    give_template(base)
    lengthen_context(base)
    return base


@pytest.fixture(scope="module")
def counter(babbler: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with every number to 100 a token of its own, and likely."""
    folder = tmp_path_factory.mktemp("counter") / "model"
    tokenizer = AutoTokenizer.from_pretrained(babbler)
    model = AutoModelForCausalLM.from_pretrained(babbler)
    tokenizer.add_tokens([str(number) for number in range(101)])
    before = model.lm_head.weight.shape[0]
    torch.manual_seed(0)
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        model.lm_head.weight[before:] = torch.randn_like(model.lm_head.weight[before:])
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def local(folder: Path, path: Path, **changes: Any) -> AskedScorer:
    fields = {"kind": "local", "folder": str(folder), "max_new_tokens": 4, "batch": 3}
    params = LocalJudge.model_validate(fields | changes)
    return AskedScorer("here", LocalModel("here", params, RuntimeParams(seed=0, threads=1)), path, MIN_MASS)


def reference(folder: Path, text: str) -> tuple[str, float, float]:
    """One prompt at a time, in numpy: status, score and mass over the 20 likeliest tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}],
        add_generation_prompt=True, tokenize=True, return_dict=False, return_tensors="pt",
    )  # fmt: skip
    with torch.no_grad():
        logits = model(ids).logits[0, -1].double().numpy()
    p = np.exp(logits - logits.max())
    p /= p.sum()
    top = np.argsort(-p)[:20]
    words = [tokenizer.decode([token]).strip() for token in top]
    numbers = {str(n): n for n in range(101)}
    held = np.array([word in numbers for word in words])
    mass = p[top][held].sum()
    if mass < MIN_MASS:
        return "low mass", math.nan, mass
    number = np.array([numbers[word] for word in words if word in numbers])
    return "scored", float(np.average(number, weights=p[top][held])), mass


def test_the_next_token_gives_the_score(
    counter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, path = make_answers(5), tmp_path / "here.jsonl"
    judge = local(counter, path)
    found = scored(judge, answers)
    assert judge.method() == "logprobs"
    assert judge.usage().calls == 10
    statuses = set()
    for (place, scale), each in found.items():
        answer = answers[place]
        sent = PROMPTS[scale].replace("{question}", answer.asked).replace("{answer}", answer.text)
        status, score, mass = reference(counter, sent)
        assert each.status == status
        np.testing.assert_allclose([each.score, each.mass], [score, mass], rtol=1e-4)
        statuses.add(status)
    assert "scored" in statuses
    # Nothing is computed twice, also with another batch; more tokens than one are no matter here.
    monkeypatch.setattr(LocalModel, "_loaded", None)
    again = scored(local(counter, path, batch=1, max_new_tokens=9), answers)
    assert {place: each.score for place, each in again.items() if each.status == "scored"} == {
        place: each.score for place, each in found.items() if each.status == "scored"
    }


@pytest.mark.parametrize(
    ("says", "status"), [("42", "scored"), ("CODE", "code"), ("101", "malformed"), ("ninety", "malformed")]
)
def test_who_splits_numbers_writes_them(tmp_path: Path, says: str, status: str) -> None:
    judge = local(make_speaker(tmp_path / "model", says), tmp_path / "here.jsonl")
    found = scored(judge, make_answers(2))
    assert judge.method() == "text"
    assert {each.status for each in found.values()} == {status}
    assert {each.score for each in found.values() if status == "scored"} <= {42.0}
    assert all(each.probability is None for each in found.values())


def test_who_does_not_end_has_no_score(babbler: Path, tmp_path: Path) -> None:
    judge = local(babbler, tmp_path / "here.jsonl")
    found = scored(judge, make_answers(2))
    assert judge.method() == "text"
    assert {each.status for each in found.values()} == {"malformed"}
