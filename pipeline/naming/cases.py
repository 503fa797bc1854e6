"""What a judge is shown of a feature, and what its name is held against."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from pipeline.labels.feature_names import Feature
from pipeline.naming.silence import Silence
from store.documents.split_characters import joined
from store.documents.token_texts import token_text


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A context to name by: the texts of its tokens, how strongly it fires on each, and where most."""

    tokens: tuple[str, ...]
    activations: tuple[float, ...]
    peak: int


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A context to be asked of: the marked token, what stands around it, and whether the feature fires."""

    before: str
    token: str
    after: str
    fires: bool


@dataclass(frozen=True, kw_only=True)
class FeatureCase:
    """One feature to be named.

    Attributes
    ----------
    feature
        Layer and index.
    promoted
        Texts of the tokens that it promotes, the most first.
    shown
        Half of its contexts, the strongest first.
    held_out
        The other half, and as many where it is silent, in a drawn order; none where they are too few.
    """

    feature: Feature
    promoted: tuple[str, ...]
    shown: tuple[Shown, ...]
    held_out: tuple[Marked, ...]


@dataclass(frozen=True, kw_only=True)
class _Context:
    """Token ids of a window, without padding, their activations, and where it peaks."""

    token: np.ndarray
    activation: np.ndarray
    peak: int

    def until(self, place: int) -> bytes:
        """What the model has read at a place; two that agree there are one."""
        return self.token[: place + 1].tobytes()


class CaseMaker:
    """Makes cases of the features of a profile.

    Parameters
    ----------
    contexts, cards
        Groups of the FEATURES dataset, whose rows are the same features.
    silence
        Where the prompts leave features silent.
    vocabulary
        Text of every token id.
    least
        So many held-out contexts in which it fires are needed, or none is asked of.
    seed
        Of every draw.
    """

    def __init__(
        self,
        contexts: xr.Dataset,
        cards: xr.Dataset,
        silence: Silence,
        vocabulary: Sequence[str],
        *,
        least: int,
        seed: int,
    ) -> None:
        names = ("layer", "index", "text", "peak", "token", "activation")
        self._contexts = {name: contexts[name].values for name in names}
        self._promoted = cards["promoted_token"].values
        self._silence = silence
        self._vocabulary = vocabulary
        self._least = least
        self._seed = seed

    def case(self, row: int) -> FeatureCase:
        """The case of the feature in a row of both groups."""
        feature = int(self._contexts["layer"][row]), int(self._contexts["index"][row])
        found = self._distinct(row)
        # By turns, so that both halves are as strong.
        shown, kept = found[::2], found[1::2]
        promoted = [token for token in self._promoted[row].tolist() if token >= 0]
        return FeatureCase(
            feature=feature,
            promoted=self._texts(promoted),
            shown=tuple(
                Shown(
                    tokens=self._texts(each.token),
                    activations=tuple(each.activation.tolist()),
                    peak=each.peak,
                )
                for each in shown
            ),
            held_out=self._held_out(feature, kept),
        )

    def _distinct(self, row: int) -> list[_Context]:
        """Contexts of all variants, the strongest first; one of those that read the same up to their peak.

        A feature fires by what was read. Were equal beginnings on both sides, a name would be held against
        what it was made of: templates give many.
        """
        arrays = {name: self._contexts[name][:, row] for name in ("text", "peak", "token", "activation")}
        found = []
        for variant, number in np.argwhere(arrays["text"] >= 0):
            token = arrays["token"][variant, number]
            inside = token >= 0
            found.append(
                _Context(
                    token=token[inside],
                    activation=arrays["activation"][variant, number][inside],
                    peak=int(arrays["peak"][variant, number]),
                )
            )
        found.sort(key=lambda each: -float(each.activation[each.peak]))
        first: dict[bytes, _Context] = {}
        for each in found:
            first.setdefault(each.until(each.peak), each)
        return list(first.values())

    def _held_out(self, feature: Feature, kept: Sequence[_Context]) -> tuple[Marked, ...]:
        rng = np.random.default_rng([self._seed, *feature])
        seen = {each.until(each.peak) for each in kept}
        silent: list[tuple[np.ndarray, int]] = []

        def offer(token: np.ndarray, place: int) -> bool:
            until = token[: place + 1].tobytes()
            if new := until not in seen:
                seen.add(until)
                silent.append((token, place))
            return new

        # Half in its own contexts, on another token; half in prompts.
        for each in kept[: len(kept) // 2]:
            quiet = np.flatnonzero(each.activation == 0)
            for place in rng.permutation(quiet[quiet > 0]).tolist():  # the first may be BOS
                if offer(each.token, place):
                    break
        for token, place in self._silence.draw(feature, 4 * len(kept), rng):
            if len(silent) == len(kept):
                break
            offer(token, place)
        n = min(len(kept), len(silent))
        if n < self._least:
            return ()
        marked = [self._marked(each.token, each.peak, fires=True) for each in kept[:n]]
        marked += [self._marked(token, place, fires=False) for token, place in silent[:n]]
        return tuple(marked[place] for place in rng.permutation(2 * n).tolist())

    def _marked(self, token: np.ndarray, place: int, *, fires: bool) -> Marked:
        texts = self._texts(token)
        return Marked(
            before=joined(texts[:place]),
            token=texts[place],
            after=joined(texts[place + 1 :]),
            fires=fires,
        )

    def _texts(self, tokens: Sequence[int] | np.ndarray) -> tuple[str, ...]:
        return tuple(token_text(self._vocabulary, int(token)) for token in tokens)


def first_features(effects: np.ndarray, n: int | None) -> list[int]:
    """Rows of the features to be named, ascending: all, or the `n` with the largest effects.

    Parameters
    ----------
    effects
        (contrast, feature) signed effects, NaN where there is none; the largest of any contrast counts.
    n
        None: all.
    """
    largest = np.nan_to_num(np.abs(effects), nan=0.0).max(axis=0, initial=0.0)
    return sorted(np.argsort(-largest, kind="stable")[:n].tolist())
