"""Which prompts features are ranked on; told without what ranks them, whose imports take longer."""

from collections.abc import Iterable

from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from store.documents.prompts import Prompt


def of_harm(prompts: Iterable[Prompt], params: FeatureParams) -> list[Prompt]:
    """Without those whose labels are of acting: see `pipeline.analysis.confound`."""
    return [prompt for prompt in prompts if not params.confounding(prompt.tags)]


def ranked_prompts(prompts: Iterable[Prompt], labels: TokenLabels, params: FeatureParams) -> set[str]:
    """Hashes of the prompts that features are ranked on: those asked for, but for rejected ones."""
    return {
        prompt.hash
        for prompt in of_harm(prompts, params)
        if prompt.hash not in labels.rejected
        and (params.tag is None or params.tag in prompt.tags)
        and (not params.divergent_only or prompt.hash in labels.divergent)
    }
