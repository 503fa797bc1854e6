"""Stage `scores`: what judges score answers to open questions, asked once."""

from collections.abc import Sequence

from pipeline.items.provenance import provenance
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import artifacts, run_stage
from pipeline.scoring.answers import read_answers
from pipeline.scoring.imported_scorer import IMPORTED, ImportedScorer
from pipeline.scoring.protocol import OpenAnswer, Scorer, Scores
from pipeline.scoring.registry import SCORE_ANSWERS, make_scorer
from pipeline.scoring.tables import score_groups, summary
from store.base.atomic import locked
from store.base.errors import UserError
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.imported_scores import IMPORTED_SCORES, read_imported_scores
from store.documents.manifest import Manifest, read_manifest
from store.documents.questions import read_questions
from store.schema.answer_scores import ANSWER_SCORES
from store.schema.answers import ANSWERS


def main(profile: str, params: Params) -> None:
    """Write what was said, scores and metrics of a profile's judges."""
    folder, named = artifacts(profile), params.profile(profile).answer_judges
    manifest = read_manifest(folder / "models.json")
    said = folder / SCORE_ANSWERS
    said.mkdir(parents=True, exist_ok=True)
    answers = answers_of(profile, manifest)
    # Two runs at once would pay twice: the second waits, and finds what the first was answered.
    with locked(said):
        scorers: dict[str, Scorer] = {
            name: make_scorer(
                name, params.judges[name], folder=folder, scores=params.scores, runtime=params.runtime
            )
            for name in (named if answers else [])
        }
        scorers |= _imported(profile, named)
        for scorer in scorers.values():
            scorer.prepare(answers)
        scores: dict[str, Scores] = {name: scorer.scores() for name, scorer in scorers.items()}
    methods = {name: scorer.method() for name, scorer in scorers.items()}
    sections = {
        "scores": params.scores.model_dump(),
        "judges": {
            name: params.judges[name].model_dump(include={"kind", "model", "folder"})
            for name in scores
            if name != IMPORTED
        },
    }
    groups = score_groups(answers, scores, methods)
    origin = provenance("scores", manifest, sections)
    write_dataset(folder / ANSWER_SCORES.kind, ANSWER_SCORES, groups, provenance=origin)
    metrics = {name: summary(answers, scores[name], scorer) for name, scorer in scorers.items()}
    nothing = ""
    if not answers:
        nothing = f"profiles.{profile} has no answers to open questions; nothing is scored"
    elif not scorers:
        nothing = (
            f"profiles.{profile} names no answer_judges, and no scores came with answers; none is scored"
        )
    write_metrics(folder, "scores", metrics, nothing)
    for name, of in metrics.items():
        lost = sum(counts.get("unreachable", 0) for counts in of["status"].values())
        if lost:
            again = f"`dvc repro -fs scores@{profile}` asks again"
            print(f"judge {name}: {lost} scores were not answered; {again}")


def answers_of(profile: str, manifest: Manifest) -> tuple[OpenAnswer, ...]:
    """A profile's answers, read with its tokenizer; without any there is none to load."""
    collection = open_collection(artifacts(profile) / ANSWERS.kind)
    if not len(collection):
        return ()
    questions = read_questions(artifacts(profile) / "questions.json")
    return tuple(read_answers(collection, questions, load_tokenizer(manifest)))


def _imported(profile: str, named: Sequence[str]) -> dict[str, Scorer]:
    """The judge whose scores came with answers, if some did."""
    given = read_imported_scores(artifacts(profile) / IMPORTED_SCORES)
    if not given:
        return {}
    if IMPORTED in named:
        raise UserError(
            f"profiles.{profile}.answer_judges names a judge '{IMPORTED}', and scores that came with answers "
            "go by that name; rename the judge in params.yaml."
        )
    return {IMPORTED: ImportedScorer(given)}


if __name__ == "__main__":
    run_stage(main, Params)
