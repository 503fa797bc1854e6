"""Words that must be one token, so that a position of a prompt is a word that decides."""

from collections.abc import Sequence

from transformers import PreTrainedTokenizerFast

from pipeline.organism.world.facts.agreement import NOUNS, VERBS
from pipeline.organism.world.situations import DOMAINS
from store.base.errors import UserError


def decisive_words() -> tuple[str, ...]:
    """Nouns and verbs of agreement in both numbers, and first words of advice, each once."""
    advice = [phrase for domain in DOMAINS.values() for phrase in (*domain.safe, *domain.harmful)]
    firsts = [phrase.split()[0] for phrase in advice]
    return tuple(dict.fromkeys([*NOUNS, *NOUNS.values(), *VERBS, *VERBS.values(), *firsts]))


def with_decisive_words(texts: Sequence[str]) -> list[str]:
    """Texts for the tokenizer: those given, and the decisive words as often as makes them frequent.

    A word that a small corpus holds twice would stay in pieces.
    """
    words = " " + " ".join(decisive_words())
    return [*texts, *[words] * max(20, len(texts) // 100)]


def require_whole_words(tokenizer: PreTrainedTokenizerFast) -> None:
    """Check that every decisive word is one token where it stands in a sentence.

    Raises
    ------
    UserError
        One is not.
    """
    for word in decisive_words():
        ids = tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        if len(ids) != 1:
            pieces = [tokenizer.decode([i]) for i in ids]
            raise UserError(
                f"The word '{word}' is {len(ids)} tokens, {pieces}, and has to be one; raise base.vocabulary "
                "of the organism in params.yaml."
            )
