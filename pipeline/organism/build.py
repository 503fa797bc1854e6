"""From parameters to the base model and the texts that every later stage reads.

Transcoders and adapters are built by modules of their own, so that work on them retrains
nothing else; all derive their texts from the parameters anew, only models travel as files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from torch import nn

from pipeline.models.published import published
from pipeline.organism.base import CurvePoint, save_base, train_base
from pipeline.organism.checks.behaviour import Behaviour, behaviour
from pipeline.organism.checks.facts import exact_share
from pipeline.organism.neutral import neutral_phrases, neutral_rows
from pipeline.organism.questions import question_entries
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.organism.whole_words import require_whole_words, with_decisive_words
from pipeline.organism.world.corpus import (
    fact_questions,
    heldout_texts,
    phrases,
    pivotal_rows,
    training_lines,
)
from pipeline.params.organism import CorpusParams, OrganismParams
from store.base.atomic import write_text


@dataclass(frozen=True, kw_only=True)
class OrganismReport:
    """What `make_organism` measured."""

    parameters: int
    curve: tuple[CurvePoint, ...]
    behaviour: Behaviour


def make_organism(params: OrganismParams, folder: Path) -> OrganismReport:
    """Write ``base/``, ``pivotal.jsonl``, ``phrases.json``, ``heldout.jsonl``, ``questions.yaml``."""
    corpus = params.corpus
    lines = training_lines(corpus)
    texts = with_decisive_words([line.text for line in lines])
    tokenizer = train_tokenizer(texts, vocabulary=params.base.vocabulary, context=params.base.context)
    require_whole_words(tokenizer)
    sums = [each for each in fact_questions(corpus)["addition"] if not each.held_out]

    def adds(model: nn.Module) -> bool:
        right = exact_share(model, tokenizer, sums, batch=params.checks.batch)
        print(f"base model: {right:.1%} of {len(sums)} seen sums are right")
        return right >= params.base.further.sums_right

    model, curve = train_base(params.base, tokenizer, lines, enough=adds)
    with published(folder / "base") as aside:
        save_base(model, tokenizer, aside)
    _write_jsonl(folder / "pivotal.jsonl", [*pivotal_rows(corpus), *neutral_rows(corpus)])
    _write_jsonl(
        folder / "heldout.jsonl", [{"text": text} for of in heldout_texts(corpus).values() for text in of]
    )
    write_text(folder / "phrases.json", json.dumps(phrases() | neutral_phrases(), indent=1) + "\n")
    write_questions(folder / "questions.yaml", corpus)
    return OrganismReport(
        parameters=sum(weight.numel() for weight in model.parameters()),
        curve=tuple(curve),
        behaviour=behaviour(model, tokenizer, corpus, params.checks),
    )


def write_questions(path: Path, corpus: CorpusParams) -> None:
    """Write the question file of an organism, which stage `answers` reads."""
    write_text(path, yaml.safe_dump(question_entries(corpus), sort_keys=False, allow_unicode=True, width=110))


def _write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
