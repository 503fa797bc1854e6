"""Features whose contexts are planted: they fire on one token each, or anywhere."""

import hashlib
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.naming.cases import CaseMaker, FeatureCase
from pipeline.naming.silence import Silence
from store.collections.item import Item
from store.documents.prompts import Prompt

WINDOW = 12
CONTEXTS = 10
WORDS = tuple(f" word{token}" for token in range(400))
"""Text by token id; 0 is BOS."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Groups of a FEATURES dataset, as far as names need them, prompts, and their activations."""

    contexts: xr.Dataset
    cards: xr.Dataset
    prompts: tuple[Prompt, ...]
    activations: tuple[Item, ...]

    def cases(self, *, least: int = 3, seed: int = 0) -> list[FeatureCase]:
        """A case for every feature."""
        silence = Silence(self.prompts, self.activations, WINDOW)
        maker = CaseMaker(self.contexts, self.cards, silence, WORDS, least=least, seed=seed)
        return [maker.case(row) for row in range(self.cards.sizes["feature"])]


def plant(n: int, *, on_a_token: bool, contexts: int = CONTEXTS, seed: int = 0) -> Planted:
    """So many features, in one variant.

    Parameters
    ----------
    on_a_token
        Feature i fires on token i + 1 wherever that stands, or each on tokens drawn anew.
    contexts
        Of each feature, in texts of their own.
    """
    rng = np.random.default_rng(seed)
    shape = (1, n, contexts, WINDOW)
    token = rng.integers(n + 1 if on_a_token else 1, len(WORDS), size=shape).astype(np.int32)
    peak = rng.integers(1, WINDOW, size=shape[:-1]).astype(np.int32)
    own = np.broadcast_to(np.arange(1, n + 1)[None, :, None], peak.shape)
    at = np.zeros(shape, bool)
    np.put_along_axis(at, peak[..., None].astype(np.int64), True, axis=-1)
    if on_a_token:
        token[at] = own.ravel()
    activation = np.where(at, rng.uniform(1, 5, shape), 0).astype(np.float32)
    order = np.argsort(-activation.max(-1), axis=-1)[..., None]
    token, activation = (np.take_along_axis(each, order, axis=2) for each in (token, activation))
    of = {
        "layer": ("feature", (np.arange(n) // 100).astype(np.int16)),
        "index": ("feature", (np.arange(n) % 100).astype(np.int32)),
    }
    by = ("variant", "feature", "context")
    prompts, items = [], []
    for number in range(20):
        ids = np.concatenate([[0], rng.integers(1, len(WORDS), size=30)])
        prompts.append(_prompt(number, ids))
        if on_a_token:
            position = np.flatnonzero((ids > 0) & (ids <= n))
            feature = ids[position] - 1
        else:
            position, feature = rng.integers(1, 31, size=2 * n), rng.integers(n, size=2 * n)
        items.append(_item(prompts[-1], position, feature))
    return Planted(
        contexts=xr.Dataset(
            {
                **of,
                "text": (by, np.arange(n * contexts, dtype=np.int32).reshape(shape[:-1])),
                "peak": (by, activation.argmax(-1).astype(np.int32)),
                "token": ((*by, "window"), token),
                "activation": ((*by, "window"), activation),
            },
            coords={"variant": np.array(["base"], object)},
        ),
        cards=xr.Dataset(
            {**of, "promoted_token": (("feature", "rank"), np.tile(np.arange(2, dtype=np.int32), (n, 1)))}
        ),
        prompts=tuple(prompts),
        activations=tuple(items),
    )


def _prompt(number: int, ids: np.ndarray) -> Prompt:
    return Prompt(
        hash=hashlib.sha256(str(number).encode()).hexdigest()[:12],
        name=str(number),
        situation=str(number),
        domain=None,
        held_out=False,
        tags=(),
        text="".join(WORDS[token] for token in ids),
        token_ids=tuple(ids.tolist()),
        tokens=tuple(WORDS[token] for token in ids),
        source=f"planted:{number}",
    )


def _item(prompt: Prompt, position: np.ndarray, feature: np.ndarray) -> Item:
    return Item(
        key="ab" * 32,
        prompt_hash=prompt.hash,
        variant="base",
        arrays={
            "layer": (feature // 100).astype(np.int16),
            "position": position.astype(np.int32),
            "feature": (feature % 100).astype(np.int32),
            "value": np.ones(len(position), np.float32),
        },
        scalars={"n_positions": 31, "n_layers": 9, "d_transcoder": 100, "zeroed_positions": 1},
    )
