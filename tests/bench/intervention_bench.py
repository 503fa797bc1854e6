"""What steering costs per generated token, and many settings at once against circuit-tracer's one by one."""

import copy
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.interventions.engine import SteeringEngine
from pipeline.interventions.kinds import Intervention
from pipeline.interventions.results import Request
from tests.bench.cases import Subject, wide_subject
from tests.support.interventions import generated_by_circuit_tracer

_ROWS: Final = 32
_TOKENS: Final = 32
_FEATURES_ON: Final = 10
_SETTINGS: Final = 64
_CALLED: Final = 4
"""Settings that circuit-tracer generates for in each round; its time is scaled to all of them."""
_ROUNDS: Final = 3


def intervention_figures(folder: Path) -> dict[str, Any]:
    """Ratios of times on the wide random model, whose texts never end.

    `steered_speed_share`: tokens a second with ten features always on by those of the same engine
    without, 32 samples of 32 tokens. `settings_speedup`: 64 settings of two features, 32 tokens each,
    the most probable ones, attention free on both sides. circuit-tracer gives activations, too, unless told
    not to; how much faster it is without them stands in the raw figures.

    Raises
    ------
    RuntimeError
        circuit-tracer generates other tokens.
    """
    subject = wide_subject(folder / "interventions")
    endless = copy.deepcopy(subject.model.tokenizer)
    endless.eos_token = None
    subject.model.tokenizer = endless
    engine, ids = SteeringEngine(subject.model), subject.token_ids
    on = Request(token_ids=ids, setting=_always(subject, range(_FEATURES_ON), "add", 0.5))
    off = Request(token_ids=ids)
    settings = [_always(subject, (2 * row, 2 * row + 1), "set", 3.0) for row in range(_SETTINGS)]
    many = [Request(token_ids=ids, setting=setting) for setting in settings]
    _generate(engine, [on, off], n=1)
    shares, speedups, spared = [], [], []
    for number in range(_ROUNDS):
        without, _ = _generate(engine, [off], n=_ROWS)
        steered, _ = _generate(engine, [on], n=_ROWS)
        shares.append(without / steered)
        together, texts = _generate(engine, many, n=1)
        for found, activations in ((speedups, True), (spared, False)):
            one_by_one = 0.0
            for row in range(number, _SETTINGS, _SETTINGS // _CALLED):
                begun = time.perf_counter()
                logits = generated_by_circuit_tracer(
                    subject.model, ids, settings[row], _TOKENS, activations=activations
                )
                one_by_one += time.perf_counter() - begun
                _require_same(texts[row][0], logits)
            found.append(one_by_one * _SETTINGS / _CALLED / together)
    return {
        "steered_speed_share": round(statistics.median(shares), 3),
        "settings_speedup": round(statistics.median(speedups), 1),
        "raw": {
            "steered_speed_shares": shares,
            "settings_speedups": speedups,
            "settings_speedups_without_activations": spared,
        },
    }


def _always(subject: Subject, numbers: Sequence[int], mode: Any, value: float) -> tuple[Intervention, ...]:
    layers = len(subject.model.transcoders)
    return tuple(
        Intervention(layer=number % layers, feature=7 * number, mode=mode, value=value, where="always")
        for number in numbers
    )


def _generate(
    engine: SteeringEngine, requests: Sequence[Request], *, n: int
) -> tuple[float, tuple[tuple[tuple[int, ...], ...], ...]]:
    begun = time.perf_counter()
    *_, last = engine.generate(requests, n=n, max_new_tokens=_TOKENS, temperature=float(n > 1))
    taken = time.perf_counter() - begun
    if last.step != _TOKENS:
        raise RuntimeError(f"texts ended after {last.step} of {_TOKENS} tokens")
    return taken, last.texts


def _require_same(tokens: Sequence[int], logits: np.ndarray) -> None:
    """Equal tokens; where two are the most probable to rounding, what follows may differ."""
    expected = logits.argmax(axis=-1).tolist()
    ordered = np.sort(logits, axis=-1)
    for place, (one, other) in enumerate(zip(tokens, expected, strict=True)):
        if one != other:
            if ordered[place, -1] - ordered[place, -2] > 1e-4:
                raise RuntimeError(f"circuit-tracer generates {other} where the engine has {one}")
            return
