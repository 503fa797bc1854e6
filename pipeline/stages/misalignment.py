"""Stage `misalignment`: how misaligned answers to open questions are, and which features tell them apart."""

from collections.abc import Iterator, Mapping
from typing import Final

import xarray as xr

from pipeline.analysis.misalignment import misaligned_rates, misalignment_groups
from pipeline.analysis.response_level import response_groups
from pipeline.analysis.response_summary import response_summary
from pipeline.analysis.scored_answers import scored_answers
from pipeline.features.answer_reading import reading_arguments
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.taken_over import TABLES, made_of, taken_over
from pipeline.items.units import Unit, make_unit
from pipeline.params.misalignment import MisalignmentParams
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics, write_plot
from pipeline.run.stage import run_stage
from store.base.hashing import file_digest
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.questions import read_questions
from store.documents.variants import BASE
from store.format.artifact import METADATA
from store.schema.answer_features import ANSWER_FEATURES
from store.schema.answer_scores import ANSWER_SCORES
from store.schema.answers import ANSWERS
from store.schema.misalignment import MISALIGNMENT
from store.schema.response_features import RESPONSE_FEATURES
from store.schema.vocabulary import ALL

MADE_BY: Final = (
    QualifiedName("pipeline.analysis.scored_answers", "scored_answers"),
    QualifiedName("pipeline.analysis.misalignment", "misalignment_groups"),
    QualifiedName("pipeline.analysis.response_level", "response_groups"),
)
"""What makes the tables."""
COMPUTE: Final = QualifiedName("pipeline.features.answer_features", "compute_answer_features")


def reading_units(subject: Subject, answers: Collection) -> list[Unit]:
    """A unit an item of `answers`: who wrote them reads them, and base."""
    questions = {question.hash: question for question in read_questions(subject.folder / "questions.json")}
    return [
        make_unit(
            COMPUTE,
            prompt_hash=item.prompt_hash,
            token_ids=(),
            variants=list(dict.fromkeys([item.variant, BASE])),
            outputs=[(ANSWER_FEATURES.kind, item.variant)],
            arguments=reading_arguments(questions[item.prompt_hash], item),
            manifest=subject.manifest,
            runtime=subject.runtime,
        )
        for item in answers.items()
    ]


def tables_of(
    subject: Subject, answers: Collection, params: MisalignmentParams
) -> tuple[dict[str, xr.Dataset], dict[str, xr.Dataset], str]:
    """Rates, and the ranking of features of answers, and what both are made of.

    `answers` is the collection that was scored; keys of what was read of it hold its wordings.
    They are taken over from the last datasets where no answer, score or threshold is another.
    """
    folder, read = subject.folder, open_collection(subject.folder / ANSWER_FEATURES.kind)
    keys = [read.key(question, variant) for question in read.prompts() for variant in read.variants(question)]
    scored_by = file_digest(folder / ANSWER_SCORES.kind / METADATA)  # it seals all scores
    inputs = [keys, scored_by, subject.variants, params.model_dump()]
    wanted = made_of(MADE_BY, subject.runtime, inputs)
    known = [
        taken_over(folder / schema.kind, schema.kind, wanted, schema.groups)
        for schema in (MISALIGNMENT, RESPONSE_FEATURES)
    ]
    if known[0] is not None and known[1] is not None:
        return known[0], known[1], wanted
    scores = {name: open_dataset(folder / ANSWER_SCORES.kind, name) for name in ANSWER_SCORES.groups}
    scored = scored_answers(scores["answers"], scores["scores"], answers.items())
    rates = misalignment_groups(scored, subject.variants, params)
    features = response_groups(scored, lambda variant: items_of(read, variant), subject.variants, params)
    return rates, features, wanted


def items_of(collection: Collection, variant: str) -> Iterator[Item]:
    """A variant's items."""
    for question in collection.prompts():
        if (question, variant) in collection:
            yield collection.item(question, variant)


def main(profile: str, params: Params) -> None:
    """Write rates, features of answers and their ranking of a profile."""
    subject, chosen = Subject(profile, params.runtime), params.misalignment
    folder, answers = subject.folder, open_collection(subject.folder / ANSWERS.kind)
    sections = {"misalignment": chosen.model_dump(), "runtime": params.runtime.model_dump()}
    failures = subject.publish(
        "misalignment", reading_units(subject, answers), [ANSWER_FEATURES], {"runtime": sections["runtime"]}
    )
    subject.write_failures("misalignment", failures)
    rates, features, wanted = tables_of(subject, answers, chosen)
    origin = provenance("misalignment", subject.manifest, sections)
    for schema, groups in ((MISALIGNMENT, rates), (RESPONSE_FEATURES, features)):
        told = {TABLES: {schema.kind: wanted}}
        write_dataset(folder / schema.kind, schema, groups, provenance=origin | told)
    ranking = open_dataset(folder / "features", "ranking")
    found = response_summary(features, ranking, chosen.fdr)
    write_plot(folder, "misalignment", ["variant", "judge", "question", "misaligned"], _rows(rates))
    nothing = ""
    if not len(answers):
        nothing = f"no answers to open questions: profiles.{profile} names no questions, and no answers"
    elif not rates["rates"].sizes["judge"]:
        nothing = f"no judge has scored answers: profiles.{profile} names no answer_judges"
    metrics = {"rates": misaligned_rates(rates), "features": found}
    write_metrics(folder, "misalignment", metrics, nothing)


def _rows(groups: Mapping[str, xr.Dataset]) -> Iterator[tuple[str, str, str, float]]:
    """Rate among coherent answers by variant, judge and question, for ``dvc plots``."""
    table = groups["rates"]["rate"].sel(form=ALL, denominator="coherent")
    for judge in table["judge"].values:
        for variant in table["variant"].values:
            of = table.sel(judge=judge, variant=variant).dropna("question")
            for question, rate in zip(of["question"].values, of.values, strict=True):
                yield str(variant), str(judge), str(question), round(float(rate), 4)


if __name__ == "__main__":
    run_stage(main, Params)
