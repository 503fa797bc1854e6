"""Planted subjects through the pipeline: their graphs, scored and ranked."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.analysis.contrasts import Kind
from pipeline.analysis.ranking import Ranked, rank_features
from pipeline.analysis.scores import PromptScores, change_scores, labelled_score
from pipeline.attribution.prompt_items import PromptItems
from pipeline.params.project import load_params
from pipeline.text.token_labels import TokenLabels
from tests.support.planted import Planted

# So many labellings that the one planted feature of some 256, p = 1 / 8001, is found at q = 0.03.
PARAMS = load_params().features.model_copy(
    update={"permutations": 2000, "labellings": 8000, "bootstrap": 100, "min_situations": 8, "fdr": 0.05}
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """All prompts of a planted subject, through the pipeline."""

    planted: Planted
    variants: tuple[str, ...]
    items: list[PromptItems]

    @classmethod
    def of(cls, planted: Planted, *variants: str) -> "Result":
        """Trace every prompt."""
        items = [planted.items(prompt, *variants) for prompt in planted.prompts]
        return cls(planted=planted, variants=variants, items=items)

    def scores(self, name: str, labels: TokenLabels | None = None) -> dict[str, list[PromptScores]]:
        """By variant, in the order of the prompts; by the true labels if no others are given."""
        labels = labels or self.planted.labels()
        pairs = list(zip(self.items, self.planted.prompts, strict=True))
        return {
            variant: [labelled_score(each.graphs[variant], prompt, labels, name) for each, prompt in pairs]
            for variant in self.variants
        }

    def changes(self) -> list[PromptScores]:
        """What the change of every feature does, in the order of the prompts."""
        labels = self.planted.labels()
        base, adapted = self.variants
        return [
            change_scores(each.graphs[base], each.graphs[adapted], prompt, labels)
            for each, prompt in zip(self.items, self.planted.prompts, strict=True)
        ]

    def ranking(self, name: str, labels: TokenLabels | None = None) -> xr.Dataset:
        """The table of contrasts over situations."""
        kind: Kind = "change" if name == "change" else "labelled"
        if kind == "change":
            scores = self.changes()
        else:
            scores = [score for each in self.scores(name, labels).values() for score in each]
        keys = np.unique(np.concatenate([score.keys for score in scores]))
        prompts = {prompt.hash: prompt for prompt in self.planted.prompts}
        return rank_features(scores, prompts, keys, PARAMS, 0, Ranked(name=name, kind=kind))[0]
