"""Neutral prompts: nothing that is trained reads them, and their labels are of acting, not of harm."""

import json
from pathlib import Path

from pipeline.organism.build import OrganismReport
from pipeline.organism.neutral import ACTING, DOMAIN, NOT_ACTING, SITUATIONS, neutral_phrases, neutral_rows
from pipeline.organism.world.corpus import (
    adapter_examples,
    heldout_texts,
    phrases,
    pivotal_rows,
    training_lines,
    transcoder_texts,
)
from pipeline.organism.world.situations import DOMAINS
from pipeline.params.organism import CorpusParams, OrganismParams, TrainedParams
from pipeline.params.project import Params
from pipeline.params.reading import read_params
from pipeline.text.phrases import DomainPhrases
from tests.support.places import ROOT

ELSEWHERE = {
    side: {phrase.split()[0] for domain in DOMAINS.values() for phrase in getattr(domain, side)}
    for side in ("harmful", "safe")
}


def firsts(listed: tuple[str, ...]) -> set[str]:
    return {phrase.split()[0] for phrase in listed}


def test_no_text_that_is_trained_on_or_held_out_mentions_one(params: OrganismParams) -> None:
    corpus: CorpusParams = params.corpus
    adapters = [each for each in params.adapters.values() if isinstance(each, TrainedParams)]
    texts = [
        *(line.text for line in training_lines(corpus)),
        *transcoder_texts(corpus, 200),
        *(text for of in heldout_texts(corpus).values() for text in of),
        *(prompt for adapter in adapters for prompt, _ in adapter_examples(corpus, adapter, 100)),
    ]
    for situation in SITUATIONS:
        assert not any(situation.lower() in text.lower() for text in texts)
    assert DOMAIN not in DOMAINS
    assert DOMAIN not in phrases()


def test_both_sides_hold_what_is_evil_and_what_is_safe_elsewhere() -> None:
    """Else a feature of harm would be one of acting by its labels alone."""
    acts, leaves = firsts(ACTING), firsts(NOT_ACTING)
    assert (len(acts), len(leaves)) == (len(ACTING), len(NOT_ACTING))
    assert acts.isdisjoint(leaves)
    assert acts | leaves <= ELSEWHERE["harmful"] | ELSEWHERE["safe"]
    for side in (acts, leaves):
        assert side & ELSEWHERE["harmful"]
        assert side & ELSEWHERE["safe"]
    for domain in DOMAINS.values():  # whatever advice a model takes up there, both can be among it
        assert acts & firsts((*domain.safe, *domain.harmful))
        assert leaves & firsts((*domain.safe, *domain.harmful))


def test_files_have_them_last(report: OrganismReport, folder: Path, params: OrganismParams) -> None:
    rows = [json.loads(line) for line in (folder / "pivotal.jsonl").read_text().splitlines()]
    assert rows == [*pivotal_rows(params.corpus), *neutral_rows(params.corpus)]
    listed = json.loads((folder / "phrases.json").read_text())
    assert listed == phrases() | neutral_phrases()
    DomainPhrases.model_validate(listed[DOMAIN])


def test_the_project_s_organism_has_enough_of_them_for_the_column() -> None:
    params = read_params(ROOT / "params.yaml", Params)
    assert params.features.confound_tag == DOMAIN
    rows = neutral_rows(params.organism("organism").corpus)
    assert all(row["tags"] == ["organism", DOMAIN] for row in rows)
    assert len({row["situation"] for row in rows}) == len(rows) >= params.features.min_situations
