"""Where features fire most in held-out text: strongest contexts and a histogram.

Texts stream through the replacement model in padded batches. Per feature only the `k`
strongest peaks are kept, at most one a text; a second pass over the texts that hold them
reads the activations around each peak. Memory is bounded by the dictionary, not the text.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

import numpy as np
import torch

from pipeline.analysis.feature_inputs import Contexts
from pipeline.analysis.scores import feature_key
from pipeline.features.streaming import encoded, stream
from pipeline.items.units import Unit
from pipeline.models.dictionaries import dictionary_size
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from pipeline.text.held_out import read_texts
from store.collections.item import Item

_NONE: Final = np.iinfo(np.int32).max


class _Top:
    """The k strongest peaks of every feature of one layer: value, text and position.

    What can be among them is told on the device, and the rest of a batch stays there.
    """

    def __init__(self, d_transcoder: int, k: int, device: torch.device) -> None:
        self._least = torch.zeros(d_transcoder, device=device)
        self.value = np.zeros((k, d_transcoder), np.float32)
        self.text = np.full((k, d_transcoder), _NONE, np.int32)
        self.position = np.zeros((k, d_transcoder), np.int32)

    def add(self, value: torch.Tensor, text: np.ndarray, position: torch.Tensor) -> None:
        """Offer one peak a text and feature: (text, feature) values and positions.

        Equal peaks are kept in order of the texts, however they are batched.
        """
        able = ((value >= self._least) & (value > 0)).any(dim=0).nonzero().squeeze(1)
        offered, position_of = value[:, able].cpu().numpy(), position[:, able].cpu().numpy()
        columns = able.cpu().numpy()
        texts = np.where(offered > 0, text[:, None], _NONE).astype(np.int32)
        values = np.concatenate([self.value[:, columns], np.maximum(offered, 0)])
        texts = np.concatenate([self.text[:, columns], texts])
        positions = np.concatenate([self.position[:, columns], position_of.astype(np.int32)])
        order = np.lexsort((texts, -values), axis=0)[: len(self.value)]
        self.value[:, columns] = np.take_along_axis(values, order, axis=0)
        self.text[:, columns] = np.take_along_axis(texts, order, axis=0)
        self.position[:, columns] = np.take_along_axis(positions, order, axis=0)
        self._least[able] = torch.from_numpy(self.value[-1, columns]).to(self._least.device)


def context_item(contexts: Contexts, key: str, text_hash: str) -> Item:
    """Contexts as an item for the cache; `text_hash` stands where a prompt's hash would."""
    return Item(
        key=key,
        prompt_hash=text_hash,
        variant=contexts.variant,
        arrays={field.name: getattr(contexts, field.name) for field in fields(Contexts)[1:]},
        scalars={},
    )


def compute_contexts(models: ModelPool, unit: Unit) -> Iterator[tuple[str, Item]]:
    """Contexts of a unit's one variant.

    Its arguments are those of `collect_contexts`, with `edges` as a list and `texts` as the path of
    a file, whose digest and the most tokens of a text (`digest`, `max_tokens`) stand beside it.
    """
    (variant,) = unit.variants
    arguments = dict(unit.arguments)
    del arguments["digest"]
    texts = read_texts(Path(arguments.pop("texts")), models.tokenizer, arguments.pop("max_tokens"))
    edges = np.asarray(arguments.pop("edges"), np.float32)
    contexts = collect_contexts(models.replacement(variant), variant, texts=texts, edges=edges, **arguments)
    yield "contexts", context_item(contexts, unit.item(variant).key, unit.prompt_hash)


def collect_contexts(
    replacement: ReplacementModel,
    variant: str,
    *,
    texts: Sequence[Sequence[int]],
    edges: np.ndarray,
    contexts: int,
    window: int,
) -> Contexts:
    """Strongest contexts and histogram of every feature that fires in `texts`.

    Parameters
    ----------
    replacement
        circuit-tracer's TransformerLens replacement model of the variant.
    texts
        Token ids of each text, BOS included; positions that circuit-tracer zeroes (BOS)
        do not count.
    edges
        (bin + 1,) histogram edges, ascending.
    contexts
        So many a feature are kept.
    window
        Tokens around a peak.
    """
    n_layers, d_transcoder = replacement.cfg.n_layers, dictionary_size(replacement.transcoders)
    bins = len(edges) - 1
    device = torch.device(str(replacement.cfg.device))
    tops = [_Top(d_transcoder, contexts, device) for _ in range(n_layers)]
    histograms = [np.zeros(d_transcoder * bins, np.int64) for _ in range(n_layers)]
    inner = edges[1:-1]

    def scan(layer: int, rows: np.ndarray, activations: torch.Tensor) -> None:
        value, position = activations.max(dim=1)  # (text, feature)
        tops[layer].add(value, rows, position)
        text, where, feature = activations.nonzero(as_tuple=True)
        values = activations[text, where, feature].cpu().numpy()
        # Few of a layer's cells change in a batch.
        cells, counts = np.unique(
            feature.cpu().numpy() * bins + np.searchsorted(inner, values, side="right"), return_counts=True
        )
        histograms[layer][cells] += counts

    _stream(replacement, texts, range(len(texts)), scan, label=f"held-out text, {variant}")
    fired = [np.flatnonzero(h.reshape(d_transcoder, bins).any(axis=1)) for h in histograms]
    layer = np.concatenate([np.full(len(rows), i) for i, rows in enumerate(fired)])
    index = np.concatenate(fired)
    tables = [h.reshape(d_transcoder, bins)[rows] for h, rows in zip(histograms, fired, strict=True)]

    def gather(name: str) -> np.ndarray:
        arrays = [getattr(top, name)[:, rows].T for top, rows in zip(tops, fired, strict=True)]
        return np.concatenate(arrays)  # (feature, context)

    text, position = gather("text"), gather("position")
    text[text == _NONE] = -1
    start, token = _windows(texts, text, position, window)
    activation = np.zeros(token.shape, np.float32)
    _fill(replacement, texts, layer, index, text, start, activation, variant)
    activation[token < 0] = 0
    return Contexts(
        variant=variant,
        keys=feature_key(layer, index),
        histogram=np.concatenate(tables).astype(np.int32),
        text=text,
        peak=np.where(text >= 0, position - start, 0).astype(np.int32),
        token=token,
        activation=activation,
    )


def _windows(
    texts: Sequence[Sequence[int]], text: np.ndarray, position: np.ndarray, window: int
) -> tuple[np.ndarray, np.ndarray]:
    """Start (feature, context) and tokens (feature, context, window) around each peak."""
    longest = max(len(ids) for ids in texts)
    table = np.full((len(texts), longest + window), -1, np.int32)
    for row, ids in enumerate(texts):
        table[row, : len(ids)] = ids
    lengths = np.array([len(ids) for ids in texts])
    # Whole windows inside the text where it is long enough, the peak in their middle.
    start = np.clip(position - window // 2, 0, np.maximum(lengths[text] - window, 0)).astype(np.int32)
    token = table[text[..., None], start[..., None] + np.arange(window)]
    return start, np.where(text[..., None] >= 0, token, -1).astype(np.int32)


def _fill(
    replacement: ReplacementModel,
    texts: Sequence[Sequence[int]],
    layer: np.ndarray,
    index: np.ndarray,
    text: np.ndarray,
    start: np.ndarray,
    activation: np.ndarray,
    variant: str,
) -> None:
    """Read the activations of every window, text by text, into `activation`."""
    feature, context = np.nonzero(text >= 0)
    order = np.lexsort((text[feature, context], layer[feature]))
    feature, context = feature[order], context[order]
    place = layer[feature] * len(texts) + text[feature, context]
    window = np.arange(activation.shape[-1])

    def read(this: int, rows: np.ndarray, activations: torch.Tensor) -> None:
        first = np.searchsorted(place, this * len(texts) + rows)
        counts = np.searchsorted(place, this * len(texts) + rows, side="right") - first
        number = np.repeat(np.arange(len(rows)), counts)
        found = np.arange(len(number)) + np.repeat(first - (np.cumsum(counts) - counts), counts)
        these, those = feature[found], context[found]
        columns = np.minimum(start[these, those][:, None] + window, activations.shape[1] - 1)
        # Gathered where they are: of a batch few numbers lie in a window.
        at = (number[:, None], columns, index[these][:, None])
        where = [torch.from_numpy(part).to(activations.device) for part in at]
        activation[these, those] = activations[where[0], where[1], where[2]].cpu().numpy()

    chosen = np.unique(text[text >= 0])
    _stream(replacement, texts, chosen, read, label=f"contexts, {variant}")


def _stream(
    replacement: ReplacementModel,
    texts: Sequence[Sequence[int]],
    chosen: Sequence[int] | np.ndarray,
    visit: Callable[[int, np.ndarray, torch.Tensor], None],
    *,
    label: str,
) -> None:
    """Call ``visit(layer, rows, activations)`` for every batch and layer.

    `activations` are (text, position, feature), zero at positions that circuit-tracer
    zeroes and at padding.
    """

    def encode(layer: int, rows: np.ndarray, x: torch.Tensor) -> None:
        lengths = torch.tensor([len(texts[row]) for row in rows], device=x.device)
        real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        real[:, replacement.zero_positions] = False
        visit(layer, rows, encoded(replacement, x, layer) * real[..., None])

    stream(replacement, texts, chosen, encode, label=label)
