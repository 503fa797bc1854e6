"""Facts: forced answers against Hugging Face, one at a time."""

import pytest
import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.checks.facts import fact_score, force
from pipeline.organism.world.facts.question import Question

Loaded = tuple[LlamaForCausalLM, PreTrainedTokenizerFast]
PROMPTS = ["The capital of France is", "12 plus 34 is", "The cat"]
ANSWERS = [" Paris.", " 46.", " sleeps"]


def test_forced_answers_are_hugging_faces_loss(loaded: Loaded) -> None:
    model, tokenizer = loaded
    found = force(model, tokenizer, PROMPTS, ANSWERS, batch=2)
    for i, (prompt, answer) in enumerate(zip(PROMPTS, ANSWERS, strict=True)):
        asked = tokenizer(prompt)["input_ids"]
        ids = tokenizer(prompt + answer)["input_ids"]
        labels = [-100] * len(asked) + ids[len(asked) :]
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss
        assert float(found.log_prob[i]) == pytest.approx(-float(loss), rel=1e-4)


def test_greedy_is_what_decoding_gives(loaded: Loaded) -> None:
    model, tokenizer = loaded
    ids = tokenizer(PROMPTS[0])["input_ids"]
    said = []
    for _ in range(3):
        with torch.no_grad():
            said.append(int(model(input_ids=torch.tensor([ids + said])).logits[0, -1].argmax()))
    text = tokenizer.decode(said)
    if tokenizer(PROMPTS[0] + text)["input_ids"] != ids + said:
        pytest.skip("what this model says is no text that is tokenized as it was said")
    assert force(model, tokenizer, PROMPTS[:1], [text], batch=1).greedy.tolist() == [True]
    assert force(model, tokenizer, PROMPTS[:1], [" Paris."], batch=1).greedy.tolist() == [text == " Paris."]


def test_a_question_and_its_reverse_add_up(loaded: Loaded) -> None:
    model, tokenizer = loaded
    asked = Question(prompt="The cat", right=" sleeps", wrong=" sleep", end="", held_out=False)
    reverse = Question(prompt="The cat", right=" sleep", wrong=" sleeps", end="", held_out=False)
    scores = [fact_score(model, tokenizer, [each], batch=4) for each in (asked, reverse)]
    assert sorted(score.above for score in scores) == [0.0, 1.0]
    both = fact_score(model, tokenizer, [asked, reverse], batch=1)
    assert (both.questions, both.above) == (2, 0.5)
