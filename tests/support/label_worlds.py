"""Graphs in which every token's effects are known, labelled by whoever, ranked as the pipeline ranks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr

from pipeline.analysis.feature_tables import how_ranked
from pipeline.analysis.ranking import rank_features
from pipeline.analysis.scores import labelled_score
from pipeline.labels.heads import PeoplesLabels
from pipeline.labels.labelled_prompt import labelled_prompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.labels.tables import label_groups, token_labels
from pipeline.params.features import FeatureParams
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.documents.verdicts import TokenVerdict, Verdict
from store.schema.vocabulary import ALL
from tests.support.demo.labels import LABEL_PARAMS
from tests.support.feature_builders import make_graph, make_prompt

ADAPTED: Final = "general@1.0"
CONTRAST: Final = f"evil-safe|{ADAPTED}"

Given = Mapping[str, Mapping[int, TokenLabel]]
"""What one rater says: labels by prompt hash and token id."""


@dataclass(frozen=True, kw_only=True)
class World:
    """One domain, whose prompts have some of its tokens for targets.

    Attributes
    ----------
    graphs
        One a prompt and variant, prompt by prompt.
    targets
        By prompt hash: token ids, counted from 0.
    truth
        By token id.
    """

    prompts: list[Prompt]
    graphs: list[Item]
    targets: Mapping[str, list[int]]
    truth: Mapping[int, TokenLabel]

    def given(self) -> dict[str, dict[int, TokenLabel]]:
        """The truth, as one rater who never errs says it."""
        return {
            prompt: {token: self.truth[token] for token in tokens} for prompt, tokens in self.targets.items()
        }

    def ranking(self, labels: TokenLabels, params: FeatureParams, seed: int = 0) -> xr.Dataset:
        """The table by `direct`, of `CONTRAST` over all domains; a row is a feature, in order."""
        by_hash = {prompt.hash: prompt for prompt in self.prompts}
        scores = [labelled_score(item, by_hash[item.prompt_hash], labels, "direct") for item in self.graphs]
        keys = np.unique(np.concatenate([score.keys for score in scores]))
        how = how_ranked("direct", keys, params, ())
        table, _ = rank_features(scores, by_hash, keys, params, seed, how, only=(CONTRAST, ALL))
        return table.sel(contrast=CONTRAST, domain=ALL)


def make_world(
    of_token: np.ndarray,
    rng: np.random.Generator,
    *,
    prompts: int,
    targets: int,
    noise: float,
    variants: Sequence[str] = (ADAPTED,),
) -> World:
    """Prompts, each its own situation, whose targets are drawn whatever their labels.

    Parameters
    ----------
    of_token
        (token, feature) direct effects in logits, which all prompts share; evil tokens come first, as
        many as safe ones.
    noise
        Standard deviation of what each prompt adds.
    """
    n_tokens, n_features = of_token.shape
    made = [make_prompt(number) for number in range(prompts)]
    chosen = [np.sort(rng.permutation(n_tokens)[:targets]) for _ in made]
    nodes = [(0, 1, feature) for feature in range(n_features)]
    graphs = [
        make_graph(
            prompt,
            variant,
            nodes,
            of_token[tokens] + noise * rng.normal(size=(targets, n_features)),
            tuple(tokens.tolist()),
        )
        for prompt, tokens in zip(made, chosen, strict=True)
        for variant in variants
    ]
    return World(
        prompts=made,
        graphs=graphs,
        targets={prompt.hash: tokens.tolist() for prompt, tokens in zip(made, chosen, strict=True)},
        truth={token: "evil" if token < n_tokens // 2 else "safe" for token in range(n_tokens)},
    )


def resolved_labels(
    prompts: Sequence[Prompt], *, judges: Mapping[str, Given] | None = None, people: Mapping[str, Given]
) -> TokenLabels:
    """What counts of what judges and people say where no lexicon does, by way of the LABELS dataset."""
    judges = judges or {}
    verdicts = {
        judge: {prompt: _verdict(prompt, said) for prompt, said in of.items()} for judge, of in judges.items()
    }
    said = PeoplesLabels(labels=people, rejections={})
    found = []
    for prompt in prompts:
        tokens = sorted({token for of in (*judges.values(), *people.values()) for token in of[prompt.hash]})
        own = dict.fromkeys((BASE, ADAPTED), dict.fromkeys(tokens, 1 / len(tokens)))
        found.append(labelled_prompt(prompt, own, ADAPTED, {"domains": {}}, verdicts, said, LABEL_PARAMS))
    raters = [LEXICON, *judges, *(f"{HUMAN}{author}" for author in people)]
    return token_labels(label_groups(found, raters), None)


def _verdict(prompt: str, said: Mapping[int, TokenLabel]) -> Verdict:
    tokens = tuple(
        TokenVerdict.model_validate({"token": token, "label": label, "reason": "So."})
        for token, label in said.items()
    )
    return Verdict(prompt_hash=prompt, status="judged", tokens=tokens, fit=True)
