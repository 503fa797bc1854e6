"""Strongest contexts, histogram and promoted tokens against activations text by text."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.analysis.feature_inputs import Contexts, histogram_edges
from pipeline.analysis.scores import split_key
from pipeline.features.contexts import collect_contexts, context_item
from pipeline.features.promoted import promoted_tokens
from pipeline.items.cache import ItemCache

KEPT, WINDOW = 3, 5
EDGES = histogram_edges(1.3, 2.5, 6)


@pytest.fixture(scope="module")
def texts(tokenizer: Any) -> list[tuple[int, ...]]:
    rng = np.random.default_rng(0)
    return [
        (tokenizer.bos_token_id, *rng.integers(3, 300, size=rng.integers(1, 20)).tolist()) for _ in range(30)
    ]


@pytest.fixture(scope="module")
def reference(replacement: Any, texts: list[tuple[int, ...]]) -> list[np.ndarray]:
    """(layer, position, feature) by text, from circuit-tracer, one text at a time."""
    return [replacement.get_activations(torch.tensor(ids))[1].numpy() for ids in texts]


@pytest.fixture(scope="module")
def contexts(replacement: Any, texts: list[tuple[int, ...]]) -> Contexts:
    return collect_contexts(replacement, "base", texts=texts, edges=EDGES, contexts=KEPT, window=WINDOW)


def test_rows_are_the_features_that_fire(contexts: Contexts, reference: list[np.ndarray]) -> None:
    fires = np.any([(a != 0).any(axis=1) for a in reference], axis=0)  # (layer, feature)
    layer, index = split_key(contexts.keys)
    np.testing.assert_array_equal(np.argwhere(fires), np.stack([layer, index], axis=1))


def test_contexts_are_the_strongest_peaks_one_a_text(
    contexts: Contexts, reference: list[np.ndarray], texts: list[tuple[int, ...]]
) -> None:
    for row, (layer, index) in enumerate(zip(*split_key(contexts.keys), strict=True)):
        peaks = [(float(a[layer, :, index].max()), number) for number, a in enumerate(reference)]
        strongest = sorted((p for p in peaks if p[0] > 0), key=lambda p: (-p[0], p[1]))[:3]
        assert contexts.text[row].tolist() == [t for _, t in strongest] + [-1] * (3 - len(strongest))
        for rank, (value, text) in enumerate(strongest):
            ids, peak = texts[text], contexts.peak[row, rank]
            window = contexts.token[row, rank]
            activation = contexts.activation[row, rank]
            assert activation[peak] == pytest.approx(value, rel=1e-5)
            assert activation.argmax() == peak
            position = int(reference[text][layer, :, index].argmax())
            start = position - peak
            inside = window >= 0
            assert inside.sum() == min(len(ids), 5)
            np.testing.assert_array_equal(window[inside], ids[start : start + inside.sum()])
            np.testing.assert_allclose(
                activation[inside],
                reference[text][layer, start : start + inside.sum(), index],
                rtol=1e-5,
                atol=1e-6,
            )
            assert not activation[~inside].any()


def test_bos_never_fires(contexts: Contexts, tokenizer: Any) -> None:
    """Trap 9: what stands at BOS is zeroed, as in graphs."""
    assert not contexts.activation[contexts.token == tokenizer.bos_token_id].any()


def test_histogram_counts_every_activation(contexts: Contexts, reference: list[np.ndarray]) -> None:
    for row, (layer, index) in enumerate(zip(*split_key(contexts.keys), strict=True)):
        values = np.concatenate([a[layer, :, index] for a in reference])
        values = np.clip(values[values != 0], EDGES[0], np.nextafter(EDGES[-1], 0))
        np.testing.assert_array_equal(contexts.histogram[row], np.histogram(values, EDGES)[0])


def test_batches_change_nothing(
    replacement: Any,
    texts: list[tuple[int, ...]],
    contexts: Contexts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pipeline.features.streaming._MAX_TOKENS", 1)
    alone = collect_contexts(replacement, "base", texts=texts, edges=EDGES, contexts=KEPT, window=WINDOW)
    for name in ("keys", "histogram", "text", "peak", "token"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(contexts, name))
    np.testing.assert_allclose(alone.activation, contexts.activation, rtol=1e-5, atol=1e-6)


def test_no_hook_is_left(replacement: Any, contexts: Contexts) -> None:
    """Trap 22."""
    for point in replacement.hook_dict.values():
        assert all(hook.is_permanent for hook in point.fwd_hooks)


def test_edges_are_log_spaced() -> None:
    edges = histogram_edges(0.5, 8.0, 4)
    np.testing.assert_allclose(edges, [0.5, 1, 2, 4, 8], rtol=1e-6)


def test_contexts_survive_the_cache(contexts: Contexts, tmp_path: Path) -> None:
    cache = ItemCache(tmp_path)
    cache.put("contexts", context_item(contexts, "a" * 64, "0" * 12))
    item = cache.get("contexts", "a" * 64)
    assert item is not None
    back = Contexts(variant=item.variant, **item.arrays)
    for field in fields(Contexts):
        ours, theirs = getattr(back, field.name), getattr(contexts, field.name)
        np.testing.assert_array_equal(ours, theirs)


def test_promoted_tokens_are_the_decoder_through_norm_weight_and_unembedding(
    replacement: Any, contexts: Contexts, manifest: Any
) -> None:
    from pipeline.models.loading import load_causal_lm, load_transcoders
    from store.documents.variants import Variant

    layer, index = split_key(contexts.keys)
    found = promoted_tokens(replacement, layer, index, 4)
    model, transcoders = (
        load_causal_lm(manifest, Variant(name="base", scale=0.0)),
        load_transcoders(manifest),
    )
    for row in range(0, len(layer), 7):
        decoder = transcoders[int(layer[row])].W_dec[int(index[row])].double()
        logits = model.lm_head.weight.double() @ (decoder * model.model.norm.weight.double())
        logits = (logits - logits.mean()).detach().numpy()
        order = np.argsort(-logits)
        assert found.promoted_token[row].tolist() == order[:4].tolist()
        assert found.suppressed_token[row].tolist() == order[::-1][:4].tolist()
        np.testing.assert_allclose(found.promoted_logit[row], logits[order[:4]], rtol=1e-4)
        np.testing.assert_allclose(found.suppressed_logit[row], logits[order[::-1][:4]], rtol=1e-4)
