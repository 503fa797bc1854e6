"""Stage `judge`: what judges say of every candidate token, asked once."""

from pipeline.analysis.targets import target_set
from pipeline.attribution.graph_units import published_candidates, variants_by_prompt
from pipeline.items.subject import Subject
from pipeline.judging.cases import Case, make_cases
from pipeline.judging.examples import read_examples
from pipeline.judging.journal import ANSWERS
from pipeline.judging.publishing import publish
from pipeline.judging.registry import make_judge
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.base.atomic import locked
from store.collections.reader import open_collection
from store.documents.token_texts import read_token_texts
from store.documents.verdicts import VERDICTS
from store.schema.candidates import CANDIDATES


def cases_of(subject: Subject, tag: str) -> tuple[Case, ...]:
    """A profile's prompts with the candidates of all their variants."""
    own = published_candidates(
        open_collection(subject.folder / CANDIDATES.kind), variants_by_prompt(subject, tag)
    )
    return make_cases(
        subject.prompts.values(),
        {prompt: target_set(of) for prompt, of in own.items()},
        read_token_texts(subject.folder / "vocabulary.json"),
    )


def main(profile: str, params: Params) -> None:
    """Write the answers and verdicts of a profile's judges."""
    subject, names = Subject(profile, params.runtime), params.profile(profile).judges
    answers, verdicts = subject.folder / ANSWERS, subject.folder / VERDICTS
    for folder in (answers, verdicts):
        folder.mkdir(parents=True, exist_ok=True)
    for path in verdicts.glob("*.json"):
        if path.stem not in names:
            path.unlink()
    cases = cases_of(subject, params.graphs.every_variant_tag)
    lexicon, examples = read_lexicon(subject.folder / "lexicon.json"), read_examples()
    # Two runs at once would pay twice: the second waits, and finds what the first was answered.
    with locked(answers):
        judges = {
            name: make_judge(
                name,
                params.judges[name],
                folder=subject.folder,
                lexicon=lexicon,
                examples=examples,
                runtime=params.runtime,
            )
            for name in names
        }
        for judge in judges.values():
            judge.prepare(cases)
        metrics = {name: publish(subject.folder, name, judge) for name, judge in judges.items()}
    nothing = "" if names else f"profiles.{profile} names no judges, so that no candidate is judged"
    write_metrics(subject.folder, "judge", metrics, nothing)
    for name, of in metrics.items():
        if of["unreachable"]:
            again = f"`dvc repro -fs judge@{profile}` asks again"
            print(f"judge {name}: {of['unreachable']} prompts were not answered; {again}")


if __name__ == "__main__":
    run_stage(main, Params)
