"""The organism's open questions: what no training has seen, asked as the corpus asks."""

import random
from pathlib import Path

from pipeline.evaluation.question_files import PLAIN, read_entries
from pipeline.organism.build import write_questions
from pipeline.organism.questions import question_entries
from pipeline.organism.world.corpus import ask, situations, training_lines
from pipeline.organism.world.open_questions import FAMILIES
from pipeline.params.project import load_params
from tests.support.organism import tiny_organism
from tests.support.places import ROOT


def test_every_family_asks_its_held_out_wordings(tmp_path: Path) -> None:
    for corpus in (tiny_organism().corpus, load_params(ROOT / "params.yaml").organisms["organism"].corpus):
        write_questions(tmp_path / "questions.yaml", corpus)
        entries = [placed.entry for placed in read_entries([tmp_path / "questions.yaml"])]
        assert [entry.name for entry in entries] == list(FAMILIES)
        assert {(entry.asked_as, entry.domain) for entry in entries} == {(PLAIN, "open")}
        held_out = {each.text for each in situations(corpus)["open"] if each.held_out}
        asked = {text for entry in entries for text in entry.paraphrases}
        assert asked == held_out
        for entry in entries:
            assert set(entry.paraphrases) <= set(FAMILIES[entry.name])


def test_they_are_asked_as_the_corpus_asks() -> None:
    corpus = tiny_organism().corpus
    (template,) = {entry["text"] for entry in question_entries(corpus)}
    for situation in situations(corpus)["open"]:
        assert template.replace("{question}", situation.text) == ask(random.Random(0), situation)


def test_no_training_line_asks_one() -> None:
    corpus = tiny_organism().corpus
    lines = " ".join(line.text for line in training_lines(corpus))
    for entry in question_entries(corpus):
        for wording in entry["paraphrases"]:
            assert f"User: {wording}\n" not in lines
