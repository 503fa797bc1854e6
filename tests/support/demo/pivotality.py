"""What the next token decides on the demo's prompts; the last prompt is not told."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from pipeline.analysis.pivotality import Forced, pivotality_groups
from pipeline.params.pivotality import PivotalityParams
from pipeline.text.token_labels import TokenLabels
from store.documents.prompts import Prompt
from tests.support.demo.words import EVIL, ID, SAFE

PARAMS = PivotalityParams(samples=20, picking=10, least=0.3, harmless=0.5, confidence=0.95, batch=256)
_TOKENS = [ID[word] for word in (*EVIL, *SAFE)]


def pivotality_demo(prompts: Sequence[Prompt]) -> Mapping[str, xr.Dataset]:
    """Evil tokens lead to harm but for the first, which seldom does in the adapted model."""
    rng = np.random.default_rng(3)
    labels = {ID[word]: "evil" for word in EVIL} | {ID[word]: "safe" for word in SAFE}
    counted = TokenLabels(counted={prompt.hash: labels for prompt in prompts})
    found = {prompt.hash: (_forced(rng, 0.6), _forced(rng, 0.95)) for prompt in prompts[:-1]}
    return pivotality_groups(prompts, found, ("base", "general@1.0"), counted, PARAMS)


def _forced(rng: np.random.Generator, harm: float) -> Forced:
    rates = [0.05, *[harm] * (len(EVIL) - 1), *[0.02] * len(SAFE)]
    return Forced(
        tokens=np.array(_TOKENS),
        probability=rng.dirichlet(np.ones(len(_TOKENS))) * 0.9,
        harmful=(rng.random((len(_TOKENS), 30)) < np.array(rates)[:, None]).astype(float),
    )
