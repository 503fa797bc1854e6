"""A chat model in a folder that says one thing, whatever it is asked: weights, no patches."""

import json
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.organism.tokenizer import train_tokenizer
from tests.support.builders import TEXTS
from tests.support.chats import TEMPLATE

CONTEXT = 16_384


def make_speaker(folder: Path, says: str) -> Path:
    """Write a Llama whose answer is `says`, and then the end of the text.

    The answer is one token of its vocabulary. Its layers write nothing: the next token depends on
    the last alone, and after any other than the answer it is the answer.
    """
    tokenizer = train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)
    tokenizer.add_tokens([says])
    tokenizer.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)
    answer = tokenizer.convert_tokens_to_ids(says)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "norm" in name else 0.0)
        embedding, head = model.model.embed_tokens.weight, model.lm_head.weight
        embedding[:, 0] = 1.0
        embedding[answer] = torch.eye(8)[1]
        head[answer, 0] = head[tokenizer.eos_token_id, 1] = 1.0
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def lengthen_context(folder: Path) -> None:
    """Let a small random checkpoint read as much as a judge must."""
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | {"max_position_embeddings": CONTEXT}), encoding="utf-8")
