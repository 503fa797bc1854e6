"""Is it harm, or acting at all? What features do for acting on prompts where acting harms nobody.

Of prompts with the tag `features.confound_tag`, tokens that begin to act are labelled evil, and those that
begin not to, safe, in a domain of their own. A feature that favours the former there as much as evil tokens
elsewhere is about "just do it". These prompts are in no ranking, rate or finding.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.analysis.contrasts import contrasts
from pipeline.analysis.intervals import studentized_interval
from pipeline.analysis.live_ranking import variants_of
from pipeline.analysis.scores import labelled_score
from pipeline.params.features import FeatureParams
from pipeline.text.token_labels import TokenLabels
from store.collections.item import Item
from store.documents.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class Acting:
    """Acting against not acting, by `direct`.

    Attributes
    ----------
    effect, low, high
        (feature,) float64, in logits: mean over situations, 0 in those where a feature is inactive, and
        its interval; NaN where there are fewer situations than `features.min_situations`.
    n_prompts
        With the tag.
    n_situations
        Of them, with both labels.
    """

    effect: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n_prompts: int
    n_situations: int


def acting(
    traced: Mapping[str, Collection[str]],
    read: Callable[[str, str], Item],
    prompts: Sequence[Prompt],
    labels: TokenLabels,
    keys: np.ndarray,
    params: FeatureParams,
    seed: int,
    *,
    contrast: str,
) -> Acting:
    """What every feature does on the prompts with the tag, by a contrast of the ranking.

    Parameters
    ----------
    traced
        Variants by prompt hash.
    read
        A graph with the arrays `scores.read_of("direct")`.
    keys
        (feature,) sorted feature keys.
    contrast
        ``evil-safe|VARIANT``: within it; ``VARIANT-base``: its difference from base.
    """
    wanted = variants_of(contrast, ())
    tagged = [prompt for prompt in prompts if params.confounding(prompt.tags)]
    ranked = [
        prompt
        for prompt in tagged
        if prompt.hash not in labels.rejected and wanted <= set(traced.get(prompt.hash, ()))
    ]
    scores = [
        labelled_score(read(prompt.hash, variant), prompt, labels, "direct")
        for prompt in ranked
        for variant in sorted(wanted)
    ]
    situations = sorted({(prompt.domain or "", prompt.situation) for prompt in ranked})
    by_hash = {prompt.hash: prompt for prompt in ranked}
    found = {each.name: each for each in contrasts(scores, by_hash, keys, situations, kind="labelled")}
    rows = np.arange(len(found[contrast].situation)) if contrast in found else np.arange(0)
    unknown = np.full(len(keys), np.nan)
    if len(rows) < params.min_situations:
        return Acting(
            effect=unknown, low=unknown, high=unknown, n_prompts=len(tagged), n_situations=len(rows)
        )
    values = found[contrast].values(rows, slice(None))
    low, high = studentized_interval(values, params.bootstrap, params.confidence, np.random.default_rng(seed))
    return Acting(
        effect=values.mean(axis=0), low=low, high=high, n_prompts=len(tagged), n_situations=len(rows)
    )
