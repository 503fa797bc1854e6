"""The prompt browser's table: what graphs say of every prompt, found, filtered and put in order."""

from pathlib import Path

import numpy as np
import pytest

from dashboard.data import documents, readers
from dashboard.data.prompt_table import ORDERS, SPLITS, chosen, prompt_table
from tests.support import demo

PAIR = ("base", "general@1.0")


@pytest.fixture
def table(demo_root: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EMC_ROOT", str(demo_root))
    return prompt_table("demo", PAIR)


def ask(table, **changes: str | None):
    asked = {"text": "", "domain": None, "split": SPLITS[0], "order": "domain", "pair": PAIR} | changes
    return chosen(table, **asked)


def test_numbers_are_those_of_the_graphs(table) -> None:
    assert sorted(table.index) == sorted(prompt.hash for prompt in demo.make_prompts())
    compared = 0
    for prompt_hash, row in table.iterrows():
        prompt = documents.prompts("demo")[str(prompt_hash)]
        labels = readers.labels("demo").of(prompt.hash, prompt.domain)
        sides = {}
        for side, variant in zip("ab", PAIR, strict=True):
            if variant not in readers.traced("demo", prompt.hash):
                assert np.isnan(row[f"evil_{side}"])
                assert row[f"top_{side}"] == ""
                continue
            targets = readers.graph("demo", prompt.hash, variant).targets
            sides[side] = targets.set_index("token")["probability"]
            evil = [token for token in targets["token"] if labels.get(int(token)) == "evil"]
            if labels:
                assert row[f"evil_{side}"] == pytest.approx(sides[side][evil].sum())
            else:
                assert np.isnan(row[f"evil_{side}"])
        if len(sides) == 2:
            compared += 1
            change = sides["a"] - sides["b"]
            assert row["divergence"] == pytest.approx((change.abs().sum() + abs(change.sum())) / 2, abs=1e-6)
            assert row["evil_change"] == pytest.approx(row["evil_b"] - row["evil_a"], nan_ok=True)
        else:
            assert np.isnan(row["divergence"])
    assert compared


def test_words_domain_and_split_filter(table) -> None:
    first = table.iloc[0]
    words = f"{first['situation'].split()[0].upper()}  {first['text'].split()[0]}"
    assert first.name in ask(table, text=words).index
    assert list(ask(table, text=str(first.name)).index) == [first.name]
    assert ask(table, text="no such words anywhere").empty
    assert set(ask(table, domain=first["domain"])["domain"]) == {first["domain"]}
    held, seen = (ask(table, split=split) for split in SPLITS[1:])
    assert held["held_out"].all()
    assert not seen["held_out"].any()
    assert len(held) + len(seen) == len(table)
    # A person's words are words, no pattern.
    assert ask(table, text="(").index.isin(table.index).all()


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_keeps_every_prompt_and_what_is_not_known_comes_last(table, order: str) -> None:
    found = ask(table, order=order)
    assert sorted(found.index) == sorted(table.index)
    column, ascending = ORDERS[order]
    if column != "domain":
        values = found[column].to_numpy()
        known = values[~np.isnan(values)]
        assert np.isnan(values[len(known) :]).all()
        assert (np.diff(known) <= 0).all() or ascending


def test_without_graphs_there_are_still_the_prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "artifacts" / "bare"
    folder.mkdir(parents=True)
    monkeypatch.setenv("EMC_ROOT", str(tmp_path))
    from store.documents.prompts import write_prompts

    write_prompts(folder / "prompts.json", demo.make_prompts())
    bare = prompt_table("bare", PAIR)
    assert len(bare) == len(demo.make_prompts())
    assert bare["divergence"].isna().all()
    assert len(ask(bare, order="divergence")) == len(bare)
