"""Where features are ordered and where they are measured: situations apart, the same for every order."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import xarray as xr

from pipeline.analysis.validation_sets import (
    measured_situations,
    ordering_situations,
    orders,
    predictions,
    situations_with,
)
from store.schema.rankings import situations_group
from store.schema.vocabulary import SCORES
from tests.support.feature_builders import make_prompt

FOCUS = "general@1.0"


def test_effects_are_measured_where_nothing_was_ordered() -> None:
    prompts = [make_prompt(number) for number in range(6)]
    held_out = [replace(prompt, held_out=number > 3) for number, prompt in enumerate(prompts)]
    assert measured_situations(held_out) == {("medical", "situation 4"), ("medical", "situation 5")}
    every_second = {("medical", f"situation {number}") for number in (1, 3, 5)}
    assert measured_situations(prompts) == every_second
    partly = [replace(prompts[0], held_out=True), replace(prompts[0], hash="f" * 12), *prompts[1:]]
    assert measured_situations(partly) == every_second
    # All held out, as of a hub's model: something must be left to order by.
    everything = [replace(prompt, held_out=True) for prompt in prompts]
    assert measured_situations(everything) == every_second
    # Every second of each domain, and of domains of one situation every second.
    apart = [replace(prompt, domain=f"domain {number}") for number, prompt in enumerate(prompts)]
    assert {int(domain[-1]) for domain, _ in measured_situations(apart)} == {1, 3, 5}
    assert measured_situations([]) == set()


def test_predictions_are_means_over_the_other_situations() -> None:
    names = [f"evil-safe|{FOCUS}", "evil-safe|base", f"{FOCUS}-base"]
    rng = np.random.default_rng(1)
    effect = rng.normal(size=(3, 5, 7)).astype(np.float32)
    effect[:, 1] = np.nan  # no prompt of it is scored
    table = xr.Dataset(
        {"effect": (("contrast", "situation", "feature"), effect)},
        coords={
            "contrast": names,
            "situation": [f"s{number}" for number in range(5)],
            "situation_domain": ("situation", ["medical"] * 5),
        },
    )
    groups = {situations_group(score): table for score in SCORES}
    every = {("medical", f"s{number}") for number in range(5)}
    ordering = ordering_situations(groups, {("medical", "s4"), ("finance", "s0")})
    assert ordering == every - {("medical", "s1"), ("medical", "s4")}
    found = predictions(groups, orders(FOCUS), ordering)
    np.testing.assert_allclose(found["direct", f"{FOCUS}-base"], effect[2, [0, 2, 3]].mean(axis=0), rtol=1e-6)
    assert np.isnan(predictions(groups, orders(FOCUS), set())["direct", "evil-safe|base"]).all()
    other = predictions(groups, orders("other@1.0"), every)
    assert np.isnan(other["change", "other@1.0-base"]).all()


def test_features_count_where_they_are_active_and_not_measured() -> None:
    names = [f"evil-safe|{FOCUS}", "evil-safe|base"]
    effect = np.zeros((2, 4, 3), np.float32)
    effect[0, :3, 0] = 1.0
    effect[1, 0, 1] = -1.0
    effect[:, 3, 2] = 1.0  # where effects are measured
    table = xr.Dataset(
        {"effect": (("contrast", "situation", "feature"), effect)},
        coords={
            "contrast": names,
            "situation": [f"s{number}" for number in range(4)],
            "situation_domain": ("situation", [""] * 4),
        },
    )
    groups = {situations_group("direct"): table}
    ordering = {("", f"s{number}") for number in range(3)}
    assert situations_with(groups, FOCUS, ordering).tolist() == [3, 1, 0]


def test_a_prompt_without_labels_orders_nothing() -> None:
    """Its change of activation is known; but orders that are compared rest on the same situations."""
    names = ["labelled", "unlabelled", "measured"]

    def table(known: Sequence[str]) -> xr.Dataset:
        rows = [[1.0, 2.0] if name in known else [np.nan, np.nan] for name in names]
        return xr.Dataset(
            {"effect": (("contrast", "situation", "feature"), np.array([rows]))},
            coords={
                "contrast": [f"{FOCUS}-base"],
                "situation": names,
                "situation_domain": ("situation", ["", "", ""]),
            },
        )

    labelled = {"direct": table(["labelled", "measured"]), "activation": table(names)}
    groups = {situations_group(score): of for score, of in labelled.items()}
    assert ordering_situations(groups, {("", "measured")}) == {("", "labelled")}
    groups[situations_group("direct")] = table([])
    every = ordering_situations(groups, {("", "measured")})
    assert every == {("", "labelled"), ("", "unlabelled")}, "activations are all that is known"
