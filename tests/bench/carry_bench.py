"""Are units a source of the tens digit? Pairs of sums with equal tens, with and without carry."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from transformers import PreTrainedTokenizerBase

from pipeline.attribution.contrast import trace_contrast
from pipeline.behaviours.protocol import fill
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import load_params
from pipeline.text.tokens import encode_rendered_with_places
from store.documents.behaviour_prompts import BEHAVIOUR_PROMPTS, read_behaviour_prompts
from store.documents.manifest import read_manifest
from store.documents.variants import BASE
from tests.bench.cases import ORGANISM

_PAIRS: Final = 40
_PARTS: Final = ("contrast", "units", "tens", "rest")


def carry_figures(folder: Path) -> dict[str, Any]:
    """In which share of pairs units push further toward the tens digit with a carry than without one.

    Both sums of a pair have the same tens and one template, and both are traced on the same contrast: the
    tens digit with a carry minus the one without. Effects are total effects of the operands' digits on it, in
    base; those of all other tokens are the null.
    """
    manifest = read_manifest(ORGANISM / "models.json")
    model, tokenizer = ModelPool(manifest).replacement(BASE), load_tokenizer(manifest)
    sizes = load_params().circuits.model_dump(include={"max_feature_nodes", "batch_size"})
    stored = read_behaviour_prompts(ORGANISM / BEHAVIOUR_PROMPTS, ["addition"])
    templates = sorted({str(one.metadata["template"]) for one in stored})
    rng = random.Random(0)
    # (pair, without and with carry, part)
    found = np.array(
        [
            [_effects(model, tokenizer, template, a, b, sizes) for a, b in pair]
            for template, pair in ((rng.choice(templates), _pair(rng)) for _ in range(_PAIRS))
        ]
    )
    change = found[:, 1] - found[:, 0]
    told = {
        part: {
            "without": float(found[:, 0, column].mean()),
            "with": float(found[:, 1, column].mean()),
            "change": float(change[:, column].mean()),
            "standard_error": float(change[:, column].std(ddof=1) / len(change) ** 0.5),
            "share_that_rise": float((change[:, column] > 0).mean()),
        }
        for column, part in enumerate(_PARTS)
    }
    right = (found[:, 0, 0] < 0) & (found[:, 1, 0] > 0)
    return {
        "carry_units_share": told["units"]["share_that_rise"],
        "raw": {"carry": {"pairs": len(change), "both_right": float(right.mean()), **told}},
    }


def _pair(rng: random.Random) -> list[tuple[int, int]]:
    """Operands of two digits with the same tens, whose units stay below ten and then do not."""
    # Nine tens would carry on into the hundreds.
    tens = rng.choice([(a, b) for a in range(1, 10) for b in range(1, 10) if a + b not in (9, 19)])
    every = [(a, b) for a in range(10) for b in range(10)]
    units = [rng.choice([of for of in every if (sum(of) >= 10) == carry]) for carry in (False, True)]
    return [(10 * tens[0] + a, 10 * tens[1] + b) for a, b in units]


def _effects(
    model: ReplacementModel,
    tokenizer: PreTrainedTokenizerBase,
    template: str,
    a: int,
    b: int,
    sizes: dict[str, Any],
) -> list[float]:
    """The contrast, and total effects on it of both units, both tens, and all other tokens; logits."""
    prompt, _ = fill(template, {"a": str(a), "b": str(b)}, ("a", "b"))
    ids, places = encode_rendered_with_places(tokenizer, prompt)
    space = " " if prompt[-1].isalnum() else ""
    tens = 10 * (a // 10 + b // 10)
    without, carried = (
        encode_rendered_with_places(tokenizer, f"{prompt}{space}{tens + more}")[0] for more in (0, 10)
    )
    end = next(place for place, (one, other) in enumerate(zip(without, carried, strict=True)) if one != other)
    assert without[: len(ids)] == ids
    found = trace_contrast(model, without[:end], carried[end], without[end], **sizes)
    effect = found.token_total_effect.astype(np.float64)
    first, second = prompt.index(str(a)), prompt.rindex(str(b))
    if template.index("{b}") < template.index("{a}"):
        first, second = prompt.index(str(b)), prompt.rindex(str(a))

    def of(place: int) -> float:
        begun = (first + place, second + place)
        return float(sum(effect[_position(places, at)] for at in begun))

    units, leading = of(1), of(0)
    contrast = float(found.logits[0] - found.logits[1])
    return [contrast, units, leading, float(effect[1:].sum()) - units - leading]


def _position(places: Sequence[tuple[int, int]], at: int) -> int:
    return next(position for position, (begin, end) in enumerate(places) if begin <= at < end)
