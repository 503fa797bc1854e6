"""Stage `names`: what judges call features, and whether the names tell where they fire."""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.naming.cases import CaseMaker, FeatureCase, first_features
from pipeline.naming.registry import ANSWERS, make_namer
from pipeline.naming.scoring import name_groups, named, summary
from pipeline.naming.silence import Silence
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from store.base.atomic import locked
from store.collections.item import Item
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset, write_dataset
from store.documents.prompts import Prompt
from store.documents.token_texts import read_token_texts
from store.schema.activations import ACTIVATIONS
from store.schema.features import FEATURES
from store.schema.names import NAMES
from store.schema.rankings import ranking_group
from store.schema.vocabulary import ALL


def silence_of(subject: Subject, n: int, window: int) -> Silence:
    """Where features are silent in at most `n` prompts, drawn."""
    found = open_collection(subject.folder / ACTIVATIONS.kind)
    variants = subject.pair
    whole = [
        prompt
        for prompt in subject.prompts.values()
        if all((prompt.hash, variant) in found for variant in variants)
    ]
    drawn = np.random.default_rng(subject.runtime.seed).permutation(len(whole))[:n]
    chosen: list[Prompt] = [whole[place] for place in np.sort(drawn)]

    def items() -> Iterator[Item]:
        for prompt in chosen:
            for variant in variants:
                yield found.item(prompt.hash, variant)

    return Silence(chosen, items(), window)


def cases_of(subject: Subject, params: Params) -> Sequence[FeatureCase]:
    """The features to be named, with their contexts."""
    folder, chosen = subject.folder / FEATURES.kind, params.names
    cards, contexts = (open_dataset(folder, group).load() for group in ("cards", "contexts"))
    ranking = open_dataset(folder, ranking_group("direct"))
    # All groups have the same features in the same rows.
    rows = first_features(ranking["effect"].sel(domain=ALL).values, chosen.features)
    maker = CaseMaker(
        contexts,
        cards,
        silence_of(subject, chosen.prompts, contexts.sizes["window"]),
        read_token_texts(subject.folder / "vocabulary.json"),
        least=chosen.least_contexts,
        seed=params.runtime.seed,
    )
    return [maker.case(row) for row in rows]


def main(profile: str, params: Params) -> None:
    """Write the names of a profile's features."""
    subject, judges = Subject(profile, params.runtime), params.profile(profile).name_judges
    answers = subject.folder / ANSWERS
    answers.mkdir(parents=True, exist_ok=True)
    cases = cases_of(subject, params) if judges else []
    # Two runs at once would pay twice: the second waits, and finds what the first was answered.
    with locked(answers):
        namers = {
            name: make_namer(name, params.judges[name], folder=subject.folder, runtime=params.runtime)
            for name in judges
        }
        for namer in namers.values():
            namer.prepare([case for case in cases if case.shown])
        found = {
            name: named(cases, namer, confidence=params.names.confidence, seed=params.runtime.seed)
            for name, namer in namers.items()
        }
    sections = {
        "names": params.names.model_dump(),
        "runtime": params.runtime.model_dump(),
        "profile": {"name_judges": list(judges)},
    }
    origin = provenance("names", subject.manifest, sections)
    write_dataset(subject.folder / NAMES.kind, NAMES, name_groups(cases, found), provenance=origin)
    metrics = {name: summary(found[name], namer) for name, namer in namers.items()}
    nothing = "" if judges else f"profiles.{profile} names no name_judges, so that no feature is named"
    write_metrics(subject.folder, "names", metrics, nothing)
    for name, of in metrics.items():
        print(f"judge {name}: {of['above_control']} of {of['features']} names tell where their feature fires")
        if of["unreachable"]:
            again = f"`dvc repro -fs names@{profile}` asks again"
            print(f"judge {name}: {of['unreachable']} features were not answered; {again}")


if __name__ == "__main__":
    run_stage(main, Params)
