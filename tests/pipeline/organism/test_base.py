"""Training and sampling of the base model."""

import itertools
import json
import math
import random
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.finetuning.padding import IGNORED, pad
from pipeline.finetuning.schedule import rate_factor
from pipeline.organism.base import new_model, train_base
from pipeline.organism.batches import encode_lines, encode_texts, shuffled_batches
from pipeline.organism.build import OrganismReport, make_organism
from pipeline.organism.world.corpus import training_lines
from pipeline.organism.world.facts import addition
from pipeline.organism.world.lines import Line
from pipeline.params.organism import OrganismParams
from store.base.hashing import folder_digest

Loaded = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]


def test_the_loss_falls(report: OrganismReport) -> None:
    assert report.curve[-1].step >= 5
    assert report.curve[-1].loss < math.log(800)


def test_files_are_complete(report: OrganismReport, folder: Path) -> None:
    texts = [json.loads(line) for line in (folder / "heldout.jsonl").read_text().splitlines()]
    assert len(texts) == 40
    assert set(texts[0]) == {"text"}
    assert len((folder / "pivotal.jsonl").read_text().splitlines()) == 28
    assert set(json.loads((folder / "phrases.json").read_text())["open"]) == {"harmful", "safe"}


def test_same_parameters_same_bytes(
    report: OrganismReport, params: OrganismParams, folder: Path, tmp_path: Path
) -> None:
    torch.manual_seed(99)  # nothing may depend on the global generator
    make_organism(params, tmp_path)
    assert folder_digest(tmp_path) == _digest(folder)


def _digest(folder: Path) -> str:
    """Digest of what `make_organism` wrote, should other tests write beside it."""
    assert {path.name for path in folder.iterdir()} == {
        "base",
        "heldout.jsonl",
        "questions.yaml",
        "phrases.json",
        "pivotal.jsonl",
    }
    return folder_digest(folder)


def test_another_seed_gives_other_weights(params: OrganismParams, loaded: Loaded) -> None:
    model, tokenizer = loaded
    lines = training_lines(params.corpus)
    other, _ = train_base(params.base.model_copy(update={"seed": 1}), tokenizer, lines)
    assert not torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_rounds_follow_until_it_knows_enough(loaded: Loaded, params: OrganismParams) -> None:
    """Where it does at once, weights are those without any; a round reads its share; the curve goes on."""
    model, tokenizer = loaded
    lines = training_lines(params.corpus)
    further = params.base.further.model_copy(update={"rounds": 3, "share": 0.5})
    several = params.base.model_copy(update={"further": further})
    at_once, curve = train_base(several, tokenizer, lines, enough=lambda model: True)
    assert torch.equal(at_once.lm_head.weight, model.lm_head.weight)
    told = iter([False, True])
    later, longer = train_base(several, tokenizer, lines, enough=lambda model: next(told))
    assert not torch.equal(later.lm_head.weight, model.lm_head.weight)
    assert longer[: len(curve)] == curve
    assert longer[-1].step == pytest.approx(1.5 * curve[-1].step, abs=1)
    assert not later.training


def test_padding_on_the_right_changes_no_logit(loaded: Loaded) -> None:
    """Training passes no attention mask; causal attention must make that harmless."""
    model, tokenizer = loaded
    rows = encode_texts(tokenizer, ["A short one.", "A line that is quite a bit longer than it."])
    with torch.no_grad():
        together = model(input_ids=pad(rows, tokenizer.pad_token_id)).logits[0, : len(rows[0])]
        alone = model(input_ids=torch.tensor(rows[:1])).logits[0]
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_lines_begin_with_bos_and_end_with_eos(loaded: Loaded) -> None:
    _, tokenizer = loaded
    ((ids, labels),) = encode_lines(tokenizer, [Line("The cat is in the yard.")])
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert labels == ids == encode_texts(tokenizer, ["The cat is in the yard."])[0]


@pytest.mark.parametrize("seed", range(5))
def test_only_the_answers_of_sums_count(loaded: Loaded, seed: int) -> None:
    _, tokenizer = loaded
    line = addition.line(random.Random(seed), frozenset(), 4)
    ((ids, labels),) = encode_lines(tokenizer, [line])
    counted = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
    assert all(label in (token, IGNORED) for token, label in zip(ids, labels, strict=True))
    assert tokenizer.decode(counted) == "".join(line.text[start:end] for start, end in line.answers)


def test_the_loss_is_hugging_faces(loaded: Loaded, params: OrganismParams) -> None:
    """The first point of the curve, on lines of which all counts and of which a part does."""
    _, tokenizer = loaded
    lines = [Line("The cat is in the yard."), addition.line(random.Random(0), frozenset(), 2)]
    one = params.base.model_copy(update={"batch": 1000})
    _, curve = train_base(one, tokenizer, lines, every=1)
    rows = encode_lines(tokenizer, lines)
    with torch.no_grad():
        expected = new_model(one, tokenizer)(
            input_ids=pad([ids for ids, _ in rows], tokenizer.pad_token_id),
            labels=pad([labels for _, labels in rows], IGNORED),
        ).loss
    assert curve[0].loss == pytest.approx(float(expected), rel=1e-5)


def test_pad() -> None:
    assert pad([[1, 2], [3]], IGNORED).tolist() == [[1, 2], [3, IGNORED]]


def test_an_epoch_holds_every_line_once_in_batches_of_so_many_tokens() -> None:
    lengths = [random.Random(i).randrange(5, 30) for i in range(501)]
    batches = shuffled_batches(lengths, tokens=400, rng=random.Random(1), window=16)
    assert sorted(i for batch in batches for i in batch) == list(range(501))
    padded = [len(batch) * max(lengths[i] for i in batch) for batch in batches]
    assert max(padded) <= 400
    assert sum(padded) < 1.1 * sum(lengths)  # little is padded
    assert batches != shuffled_batches(lengths, tokens=400, rng=random.Random(2), window=16)


def test_a_line_longer_than_a_batch_is_one_of_its_own() -> None:
    batches = shuffled_batches([3, 50, 4], tokens=20, rng=random.Random(0))
    assert sorted(map(sorted, batches)) == [[0, 2], [1]]


def test_schedule_rises_then_falls() -> None:
    rates = [rate_factor(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0
    assert all(a > b for a, b in itertools.pairwise(rates[10:]))
    assert rates[-1] < 0.01
