"""Labels of tokens, by prompt and token id: where what people, judges and lexicon say meets scores."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.text.lexicon import Lexicon, TokenLabel, lexicon_labels


@dataclass(frozen=True, kw_only=True)
class TokenLabels:
    """Which label a token counts as on a prompt.

    Attributes
    ----------
    counted
        By prompt hash: labels by token id that stage `labels` resolved.
    lexicon
        What tokens are that it did not resolve, by domain; None: they are unlabelled.
    rejected
        Hashes of the prompts that are out of every ranking.
    divergent
        Hashes of the prompts on which the adapted model alone has an evil candidate.
    """

    counted: Mapping[str, Mapping[int, TokenLabel]] = field(default_factory=dict)
    lexicon: Lexicon | None = None
    rejected: frozenset[str] = frozenset()
    divergent: frozenset[str] = frozenset()

    def of(self, prompt_hash: str, domain: str | None) -> dict[int, TokenLabel]:
        """Labels by token id on a prompt of that domain; a token that is absent is unlabelled, never safe.

        >>> TokenLabels(counted={"ab": {7: "evil"}}).of("ab", "medical")
        {7: 'evil'}
        """
        known = {} if self.lexicon is None else lexicon_labels(self.lexicon, domain)
        return {**known, **self.counted.get(prompt_hash, {})}
