"""A byte-level BPE tokenizer trained on the corpus."""

from collections.abc import Sequence
from typing import Final

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# circuit-tracer looks for a special token by truth value, so BOS must not have id 0.
SPECIAL_TOKENS: Final = ("<pad>", "<bos>", "<eos>")
PAD, BOS, EOS = SPECIAL_TOKENS


def train_tokenizer(lines: Sequence[str], *, vocabulary: int, context: int) -> PreTrainedTokenizerFast:
    """Train byte-level BPE on `lines`; encoding text puts exactly one BOS first.

    Parameters
    ----------
    lines
        Training text.
    vocabulary
        Number of token ids, special tokens and 256 bytes included.
    context
        Longest input of the model, in tokens.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # A sum is read digit by digit: numbers as units would have to be memorised.
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=vocabulary,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A",
        pair=f"{BOS} $A $B",
        special_tokens=[(BOS, tokenizer.token_to_id(BOS))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )
