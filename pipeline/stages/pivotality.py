"""Stage `pivotality`: how harmful continuations are that begin with each candidate token."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from pipeline.analysis.pivotality import Forced, pivotality_groups, summary
from pipeline.analysis.ranked_prompts import of_harm
from pipeline.analysis.targets import target_set
from pipeline.attribution.graph_units import published_candidates
from pipeline.evaluation.question_files import read_entries
from pipeline.items.code import QualifiedName
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit
from pipeline.labels.published import read_labels
from pipeline.models.tokenizer import load_tokenizer
from pipeline.params.judges import LocalJudge
from pipeline.params.profiles import Profile
from pipeline.params.project import Params
from pipeline.run.lean_imports import without_torch
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.scoring.registry import first_judge
from pipeline.scoring.rollouts import Rolled, ask_judge, prompt_as_question
from pipeline.text.lexicon import classify
from pipeline.text.lexicon_file import read_lexicon
from pipeline.text.tokens import decode_after
from store.collections.item import Item
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.prompts import Prompt
from store.documents.variants import BASE
from store.schema.pivotality import PIVOTALITY
from store.schema.rollouts import ROLLOUTS
from store.views.rollouts import rollouts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

JOURNALS: Final = "rollout_answers"
"""Folder of what judges said of continuations."""
COMPUTE: Final = QualifiedName("pipeline.evaluation.rollouts", "compute_rollouts")


def rollout_units(
    subject: Subject, prompts: Sequence[Prompt], candidates: Collection, params: Params
) -> list[Unit]:
    """A unit a prompt and variant, base and focus: both continue the candidates of either.

    A prompt whose candidates are not all known has none.
    """
    pair, chosen = subject.pair, params.pivotality
    arguments = {
        **params.evaluate.model_dump(include={"max_new_tokens", "temperature"}),
        "samples": chosen.picking + chosen.samples,
        "seed": subject.runtime.seed,
        "batch": chosen.batch,
    }
    own = published_candidates(candidates, {prompt.hash: pair for prompt in prompts})
    return [
        subject.unit(
            COMPUTE,
            prompt,
            [variant],
            [(ROLLOUTS.kind, variant)],
            {**arguments, "forced": target_set(own[prompt.hash])},
        )
        for prompt in prompts
        if prompt.hash in own
        for variant in pair
    ]


def told(
    item: Item, prompt: Prompt, phrases: Mapping[str, Sequence[str]], tokenizer: "PreTrainedTokenizerBase"
) -> Forced:
    """What a variant does on a prompt; a continuation is harmful that starts with a harmful phrase."""
    known: dict[tuple[int, ...], bool] = {}

    def harmful(ids: Sequence[int]) -> bool:
        if tuple(ids) not in known:
            text = decode_after(tokenizer, prompt.token_ids, ids)
            known[tuple(ids)] = classify(text, phrases) == "harmful"
        return known[tuple(ids)]

    return Forced(
        tokens=item.arrays["forced_token"],
        probability=np.exp(item.arrays["forced_log_probability"].astype(np.float64)),
        harmful=np.array([[harmful(ids) for ids in of] for of in rollouts(item)], np.float64),
    )


def judge_of(source: Profile, params: Params) -> tuple[str, Mapping[str, str]] | None:
    """Who says what continuations are where a domain has no phrases, and what it is asked, by scale.

    The first judge of answers that reads whatever is said; it is asked as about the profile's first question.
    None: the profile has no such judge, or no question.
    """
    judge = first_judge(
        source.answer_judges, params.judges, paid=params.pivotality.paid_judges, grammar=False
    )
    if judge is None or not source.questions:
        return None
    first, *_ = read_entries([Path(file) for file in source.questions])
    return judge, first.entry.judge_prompts


def main(profile: str, params: Params) -> None:
    """Write continuations by candidate, and what they tell of each prompt."""
    subject, chosen = Subject(profile, params.runtime), params.pivotality
    domains = read_lexicon(subject.folder / "lexicon.json")["domains"]
    phrases = {name: domain["phrases"] for name, domain in domains.items()}
    of_all = [] if subject.uncompared else of_harm(subject.prompts.values(), params.features)
    without = [each.hash for each in of_all if each.domain not in phrases]
    asked = judge_of(params.profile(profile), params) if without else None
    prompts = [each for each in of_all if asked or each.domain in phrases]
    units = rollout_units(subject, prompts, open_collection(subject.folder / "candidates"), params)
    sections = {
        "pivotality": chosen.model_dump(),
        "evaluate": params.evaluate.model_dump(include={"max_new_tokens", "temperature"}),
        "misalignment": params.misalignment.model_dump(include={"misaligned_below", "coherent_above"}),
    }
    failures = subject.publish("pivotality", units, [ROLLOUTS], sections)
    subject.write_failures("pivotality", failures)
    written = open_collection(subject.folder / ROLLOUTS.kind)
    pair = (BASE, subject.focus)
    known = [each for each in prompts if all((each.hash, variant) in written for variant in pair)]
    # Torch takes seconds; only a judge on this machine needs it from here on.
    on_this_machine = asked is not None and isinstance(params.judges[asked[0]], LocalJudge)
    with nullcontext() if on_this_machine else without_torch():
        tokenizer = load_tokenizer(subject.manifest) if known else None
    said: dict[tuple[str, str], Forced] = {}
    rolled: list[Rolled] = []
    for prompt, variant in product(known, pair):
        item = written.item(prompt.hash, variant)
        if prompt.domain in phrases:
            assert tokenizer is not None
            said[prompt.hash, variant] = told(item, prompt, phrases[prompt.domain], tokenizer)
        elif asked is not None:
            question = prompt_as_question(prompt, asked[1])
            rolled.append(Rolled(question=question, paraphrase=0, begun=(), item=item))
    if asked is not None and tokenizer is not None and rolled:
        forced = ask_judge(rolled, asked[0], params, tokenizer, subject.folder, JOURNALS)
        said |= {(r.item.prompt_hash, r.item.variant): each for r, each in zip(rolled, forced, strict=True)}
    (subject.folder / JOURNALS).mkdir(exist_ok=True)
    found = {each.hash: (said[each.hash, BASE], said[each.hash, subject.focus]) for each in known}
    groups = pivotality_groups(prompts, found, (BASE, subject.focus), read_labels(subject.folder), chosen)
    origin = provenance("pivotality", subject.manifest, sections) | {"judge": asked[0] if asked else None}
    write_dataset(subject.folder / PIVOTALITY.kind, PIVOTALITY, groups, provenance=origin)
    metrics = summary(groups)
    pivotal = ", ".join(f"{n} in {variant}" for variant, n in metrics["pivotal"].items())
    print(f"pivotality: of {len(prompts)} prompts whose continuations can be told, pivotal are {pivotal}")
    untold = (
        f"nobody can tell continuations of {len(without)} prompts: their domains have no phrases, and "
        f"profiles.{profile} has no questions, or no judge among answer_judges that reads and may be asked "
        "(pivotality.paid_judges)"
        if asked is None
        else ""
    )
    confounded = "no prompt is of harm: all have the tag of features.confound_tag"
    none = subject.uncompared or (untold if of_all else confounded)
    write_metrics(subject.folder, "pivotality", metrics, "" if prompts else none)
    if prompts and without and asked is None:
        print(f"pivotality: {untold}")


if __name__ == "__main__":
    run_stage(main, Params)
