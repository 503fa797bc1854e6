"""The organism's words of behaviours are those of its corpus."""

from pathlib import Path

from pipeline.behaviours.material_files import read_material
from pipeline.behaviours.registry import BEHAVIOURS
from pipeline.organism.materials import materials, write_materials
from pipeline.organism.world.facts import addition, agreement, capitals, sentiment
from pipeline.organism.world.facts.question import Question


def prefixes(questions: tuple[Question, ...]) -> set[str]:
    return {question.prompt for question in questions}


def test_words_are_those_that_the_world_asks_with(tmp_path: Path) -> None:
    write_materials(tmp_path)
    assert {path.stem for path in tmp_path.iterdir()} == set(BEHAVIOURS)
    for name, behaviour in BEHAVIOURS.items():
        assert read_material(tmp_path / f"{name}.yaml", behaviour).model_dump() == materials()[name]
    words = materials()
    asked = prefixes(agreement.questions(0, 0.2))
    attracted = {
        text.split(" the ")[0].split()[-1] for text in asked if text.startswith("The") and " the " in text
    }
    assert {t.split()[2] for t in words["agreement"]["templates"] if "attractor" in t} == attracted
    assert set(words["agreement"]["adverbs"]) == {text.split()[0] for text in asked} - {"The"}
    stressed = {text.split()[-1] for text in prefixes(sentiment.questions(0, 0.2))}
    assert set(words["sentiment"]["stress"]) == stressed
    lands = {t.format(subject=s) for t in words["recall"]["templates"] for s in words["recall"]["facts"]}
    assert lands == prefixes(capitals.questions(0, 0.2))
    off = {abs(int(q.right) - int(q.wrong)) for q in addition.questions(0, 0.2, 200)}
    assert set(words["addition"]["errors"]) == off
    low = min(low for low, _ in words["addition"]["ranges"])
    high = max(high for _, high in words["addition"]["ranges"])
    assert (low, high) == (addition.LOWEST, addition.HIGHEST)
