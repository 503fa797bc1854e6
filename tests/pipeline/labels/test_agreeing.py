"""Agreement of those who label: each pair by itself, by weights of draws, what lacks never as safe."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.agreement import agreement
from pipeline.analysis.agreement_measures import Items, Resampling
from pipeline.analysis.label_queue import Draw, draw_weights
from pipeline.labels.agreeing import agreement_groups, rater_pairs
from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.labelled_prompt import LabelledPrompt
from pipeline.labels.pace import minutes_a_prompt
from pipeline.labels.prompt_state import PromptState
from pipeline.labels.resolution import Counted
from pipeline.labels.resolving import resolve
from pipeline.text.lexicon import TokenLabel
from store.collections.reader import open_collection
from store.documents.manifest import read_manifest
from store.documents.token_texts import tokenizer_fingerprint
from store.schema.labels import MEASURES
from tests.support import demo
from tests.support.demo.labels import LABEL_PARAMS, resolved_of
from tests.support.demo.verdicts import STRICT, TIMID, give_verdicts
from tests.support.demo_project import linked
from tests.support.feature_builders import make_prompt
from tests.support.label_events import rejection, token_event

HOW = Resampling(resamples=50, confidence=0.95, min_situations=3, seed=0)
PROMPTS = [make_prompt(i, domain="medical" if i % 2 else "finance") for i in range(12)]
KNOWN = {prompt.hash: prompt for prompt in PROMPTS}
RATERS = ["lexicon", "a", "b", "human:Ada", "human:Bob"]
TOKENS = [1, 2, 3]


def labelled(seed: int) -> list[LabelledPrompt]:
    """Random labels; a rater says nothing of some candidates, and all of a token beside them."""
    rng = np.random.default_rng(seed)
    names: list[TokenLabel] = ["evil", "safe", "unsure"]
    found = []
    for prompt in PROMPTS:
        raters: dict[str, dict[int, TokenLabel]] = {
            rater: {token: names[rng.integers(3)] for token in TOKENS if rng.random() < 0.8} | {9: "evil"}
            for rater in RATERS
        }
        found.append(
            LabelledPrompt(
                prompt_hash=prompt.hash,
                candidates=[*TOKENS, 9],
                n_candidates=len(TOKENS),
                raters=raters,
                counted=[Counted(label="unlabelled", origin=None)] * 4,
                state=PromptState(complete=False, divergent=False, change=None),
                rejected_by="",
            )
        )
    return found


def test_pairs_are_people_with_judges_and_both_among_themselves() -> None:
    assert rater_pairs(RATERS) == [
        ("human:Ada", "a"),
        ("human:Ada", "b"),
        ("human:Bob", "a"),
        ("human:Bob", "b"),
        ("human:Ada", "human:Bob"),
        ("a", "b"),
    ]
    assert rater_pairs(["lexicon", "rubric"]) == []


@pytest.mark.parametrize("drawn", [False, True])
def test_each_pair_is_what_its_candidates_say(drawn: bool) -> None:
    """Against `agreement` of arrays made one by one; with a queue, of what was drawn and by weight."""
    prompts = labelled(1)
    draws = [
        Draw(number=k, prompt=prompt.hash, stratum="random", probability=p, remaining=12 - k)
        for k, (prompt, p) in enumerate(zip(PROMPTS[:6], (0.5, 0.1, 0.25, 0.2, 0.1, 0.3), strict=True))
    ]
    groups = agreement_groups(
        resolved_of(prompts, PROMPTS, RATERS), {"human:Ada": draws} if drawn else {}, HOW
    )
    table = groups["agreement"]
    weights = dict(zip([draw.prompt for draw in draws], draw_weights(draws).tolist(), strict=True))
    for row, (reference, rater) in enumerate(rater_pairs(RATERS)):
        weighted = drawn and reference == "human:Ada" and not rater.startswith("human")
        rows = [
            (prompt, token)
            for prompt in prompts
            for token in TOKENS
            if not weighted or prompt.prompt_hash in weights
        ]
        of = [KNOWN[prompt.prompt_hash] for prompt, _ in rows]
        items = Items(
            situation=np.array([f"{one.domain}\n{one.situation}" for one in of], dtype=object),
            domain=np.array([one.domain for one in of], dtype=object),
            weight=np.array([weights[p.prompt_hash] if weighted else 1.0 for p, _ in rows]),
        )
        said = [
            np.array([p.raters[who].get(token, "unlabelled") for p, token in rows], dtype=object)
            for who in (reference, rater)
        ]
        for each in agreement(*said, items, HOW).itertuples():
            cell = table.isel(pair=row).sel(domain=each.domain, measure=each.measure)
            np.testing.assert_array_equal(
                [cell["value"], cell["low"], cell["high"]], [each.value, each.low, each.high]
            )
            assert (int(cell["n_items"]), int(cell["n_situations"])) == (each.n_items, each.n_situations)
            np.testing.assert_equal(float(cell["n_effective"]), each.n_effective)
        both = [(a, b) for a, b in zip(*said, strict=True) if "unlabelled" not in (a, b)]
        counts = groups["confusion"]["n"].isel(pair=row).sel(domain="all").values
        assert counts.sum() == len(both)
        assert counts[0, 1] == both.count(("evil", "safe"))


def test_without_two_raters_there_are_empty_tables() -> None:
    groups = agreement_groups(resolved_of(labelled(2), PROMPTS, ["lexicon", "a"]), {}, HOW)
    assert groups["agreement"].sizes == {"pair": 0, "domain": 3, "measure": len(MEASURES)}
    assert groups["confusion"]["n"].shape == (0, 3, 3, 3)


def test_a_judge_who_agrees_by_chance_has_no_kappa() -> None:
    """The null: labels dealt without regard to each other."""
    values = [
        agreement_groups(resolved_of(labelled(seed), PROMPTS, RATERS), {}, HOW)["agreement"]["value"]
        .sel(domain="all", measure="kappa")
        .values
        for seed in range(3, 23)
    ]
    assert abs(float(np.mean(values))) < 0.05


def test_minutes_are_from_the_first_event_on_a_prompt_to_the_last() -> None:
    start = datetime(2026, 11, 29, tzinfo=UTC)
    said = [token_event(), token_event("safe", token=2), rejection(prompt="b" * 12)]
    times = [start, start + timedelta(minutes=3), start + timedelta(hours=5)]
    events = [event.model_copy(update={"time": time}) for event, time in zip(said, times, strict=True)]
    assert minutes_a_prompt(events) == {"Ada": 3.0}
    assert minutes_a_prompt([]) == {}


def test_labels_that_were_given_in_sight_of_verdicts_do_not_agree_with_them(
    demo_root: Path, tmp_path: Path
) -> None:
    """They count for the ranking, and not for how far people and judges agree."""
    linked(demo_root, tmp_path)
    folder = tmp_path / "artifacts" / "demo"
    give_verdicts(folder)
    prompt = demo.make_prompts()[0]
    tokens = candidates_of(own_candidates(open_collection(folder / "candidates"), prompt.hash))[:2]
    fingerprint = tokenizer_fingerprint(demo.WORDS)
    blind, seen = (
        token_event(token=token, text=demo.WORDS[token], prompt=prompt.hash, tokenizer=fingerprint)
        for token in tokens
    )
    seen = seen.model_copy(update={"shown": (STRICT,)})
    manifest = read_manifest(folder / "models.json")
    found = resolve(folder, manifest, [blind, seen], LABEL_PARAMS)
    assert found.raters == ["lexicon", STRICT, TIMID, "human:Ada"]
    assert found.people.labels["Ada"][prompt.hash] == dict.fromkeys(tokens, "evil")
    assert found.blind.labels["Ada"][prompt.hash] == {tokens[0]: "evil"}
    of_prompt = next(each for each in found.labelled if each.prompt_hash == prompt.hash)
    assert [each.origin for each in of_prompt.counted[:2]] == ["human", "human"]
    table = agreement_groups(found, {}, HOW)["agreement"].sel(domain="all", measure="agreement")
    assert table["n_items"].values.tolist()[:2] == [1, 1]
