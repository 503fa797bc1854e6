"""Stage `recipes`: what each recipe of the profile's dictionary does on every prompt, before and after."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from pipeline.analysis.ranked_prompts import of_harm
from pipeline.analysis.recipe_map import (
    SIDES,
    Followed,
    outcome_counts,
    recipe_groups,
    recipe_metrics,
)
from pipeline.analysis.recipe_subsets import subset_group
from pipeline.evaluation.told import publish_outcomes
from pipeline.interventions.controls import same_done_to
from pipeline.interventions.kinds import Setting
from pipeline.items.code import QualifiedName
from pipeline.items.collect import compute
from pipeline.items.provenance import provenance
from pipeline.items.subject import Subject
from pipeline.items.units import Unit, make_unit
from pipeline.labels.published import read_labels
from pipeline.params.project import Params
from pipeline.recipes.beside import Arrays, Beside
from pipeline.recipes.document import Recipe, is_of, require_positions
from pipeline.recipes.fewer import Done, done_of, fewer_of, masses
from pipeline.recipes.files import FOLDER, read_recipes
from pipeline.run.reports import write_metrics
from pipeline.run.stage import run_stage
from pipeline.text.lexicon_file import read_lexicon
from pipeline.text.token_labels import TokenLabels
from store.base.errors import NotInStoreError, UserError
from store.base.hashing import digest
from store.collections.item import UNSTEERED
from store.collections.reader import Collection, open_collection
from store.datasets.groups import write_dataset
from store.documents.failures import Failure
from store.documents.prompts import Prompt
from store.documents.recipe_controls import RECIPE_CONTROLS, write_recipe_controls
from store.schema.candidates import CANDIDATES
from store.schema.next_tokens import NEXT_TOKENS
from store.schema.recipes import RECIPES
from store.schema.samples import SAMPLES

PLACES: Final = {SAMPLES.kind: "recipe_samples"}
OUTCOMES: Final = "recipe_outcomes"
NEXT: Final = QualifiedName("pipeline.interventions.steered_items", "compute_next_tokens")
SAMPLED: Final = QualifiedName("pipeline.interventions.steered_items", "compute_steered_samples")
_MATCHED_ROOM: Final = "pipeline.interventions.matched_recipes"
MATCHED: Final = "matched_features", QualifiedName(_MATCHED_ROOM, "compute_matched")
DONE: Final = "matched_next_tokens", QualifiedName(_MATCHED_ROOM, "compute_done")
"""Kinds of items that the cache alone holds, and what computes them."""


def watched(candidates: Collection, prompt: Prompt, labels: TokenLabels) -> list[int]:
    """Token ids that are watched on a prompt: candidates of any variant, and labelled ones; ascending."""
    found = set(labels.of(prompt.hash, prompt.domain))
    try:
        variants = candidates.variants(prompt.hash)
    except NotInStoreError:  # none could be computed
        variants = []
    for variant in variants:
        item = candidates.item(prompt.hash, variant, ["candidate_token"])
        found.update(item.arrays["candidate_token"].tolist())
    return sorted(found)


def followed(
    recipes: Sequence[Recipe],
    prompts: Sequence[Prompt],
    next_tokens: Collection,
    outcomes: Collection,
    labels: TokenLabels,
) -> dict[tuple[int, str, str], Followed]:
    """What is known of each recipe on each prompt, on either side."""
    found = {}
    for row, recipe in enumerate(recipes):
        for prompt in prompts:
            for side, setting in zip(SIDES, (UNSTEERED, recipe.digest), strict=True):
                who = (prompt.hash, recipe.variant, setting)
                evil, safe = masses(next_tokens, prompt, recipe.variant, setting, labels)
                harmful, n = 0, 0
                if outcomes.key(*who) is not None:
                    harmful, n = outcome_counts(outcomes.item_on_demand(*who).arrays["sample_outcome"])
                found[row, prompt.hash, side] = Followed(evil=evil, safe=safe, harmful=harmful, n=n)
    return found


def controlled(
    subject: Subject, beside: Beside, tokens: Mapping[str, Sequence[int]], params: Params
) -> tuple[list[Setting], list[Arrays | None], list[Failure]]:
    """Recipes of matched features, what they do on each prompt (None: not known), and what failed.

    Raises
    ------
    UserError
        Features cannot be matched, or nothing can be done on any prompt.
    """
    recipe = beside.recipe

    def arrays(kind: str, units: Sequence[Unit]) -> list[Arrays | None]:
        failures.extend(compute(units, models=subject.source, cache=subject.cache, executor=subject.executor))
        items = [subject.item(unit, kind, name) for unit in units for _, name in unit.wanted()]
        return [None if item is None else item.arrays for item in items]

    failures: list[Failure] = []
    kind, function = MATCHED
    arguments = beside.matching(params.recipes.controls, params.runtime.seed)
    matching = make_unit(
        function,
        prompt_hash=digest(arguments)[:12],
        token_ids=(),
        variants=[recipe.variant],
        outputs=[(kind, recipe.variant)],
        arguments=arguments,
        manifest=subject.manifest,
        runtime=subject.runtime,
        settings=[recipe.digest],
    )
    (found,) = arrays(kind, [matching])
    assert found is not None, "what fails alone is raised"
    settings = same_done_to(recipe.setting, found["feature"], params.runtime.seed)
    if not settings:
        return [], [None] * len(beside.prompts), failures
    kind, function = DONE
    units = [
        subject.unit(
            function,
            prompt,
            [recipe.variant],
            [(kind, recipe.variant)],
            beside.doing(settings) | {"tokens": tokens[prompt.hash]},
            [recipe.digest],
        )
        for prompt in beside.prompts
    ]
    return settings, arrays(kind, units), failures


def main(profile: str, params: Params) -> None:
    """Write next tokens, samples, outcomes and the map of a profile's recipes."""
    subject = Subject(profile, params.runtime)
    there = read_recipes(FOLDER)
    mine = [one for one in there if is_of(one.recipe, subject.manifest)]
    for file in mine:
        file.require_possible(subject.manifest)
    recipes = [file.recipe for file in mine]
    labels, lexicon = read_labels(subject.folder), read_lexicon(subject.folder / "lexicon.json")
    prompts = of_harm(subject.prompts.values(), params.features)
    candidates = open_collection(subject.folder / CANDIDATES.kind)
    done = [Done(variant=variant) for variant in dict.fromkeys(recipe.variant for recipe in recipes)]
    done += [done_of(recipe, recipe.setting) for recipe in recipes]
    sampling = params.evaluate.model_dump(include={"samples", "max_new_tokens", "temperature"})
    sampling["seed"] = params.runtime.seed
    tokens = {prompt.hash: watched(candidates, prompt, labels) for prompt in prompts if recipes}
    failures: list[Failure] = []
    # By prompt and what is done: two recipes may do the same, and so may parts of one.
    next_units: dict[tuple[str, str, str], Unit] = {}
    samples: list[Unit] = []

    def ask(prompt: Prompt, one: Done) -> None:
        arguments = one.arguments | {"tokens": tokens[prompt.hash]}
        outputs = [(NEXT_TOKENS.kind, one.variant)]
        unit = subject.unit(NEXT, prompt, [one.variant], outputs, arguments, [one.digest])
        next_units.setdefault((prompt.hash, one.variant, one.digest), unit)

    for prompt in prompts if recipes else ():
        for one in dict.fromkeys(done):
            try:
                require_positions(one.setting, subject.manifest, prompt.token_ids)
            except UserError as error:
                failures.append(_refused(prompt, one.variant, one.digest, error))
                continue
            ask(prompt, one)
            # A prompt without a lexicon has no outcome to tell.
            if prompt.domain in lexicon["domains"]:
                arguments = one.arguments | sampling
                outputs = [(SAMPLES.kind, one.variant)]
                samples.append(subject.unit(SAMPLED, prompt, [one.variant], outputs, arguments, [one.digest]))
    # Where the whole cannot be done, no part of it is compared.
    refused = {(failure.prompt_hash, failure.settings[0]) for failure in failures}

    def ask_parts(parts: Iterable[tuple[Recipe, Prompt, Done]]) -> None:
        for recipe, prompt, one in parts:
            if (prompt.hash, recipe.digest) not in refused:
                ask(prompt, one)

    fewer = fewer_of(recipes, prompts, labels)
    ask_parts(fewer.ordered_by())
    sections = {
        "evaluate": params.evaluate.model_dump(),
        "recipes": params.recipes.model_dump(),
        "features": params.features.model_dump(include={"bootstrap", "confound_tag"}),
    }
    failed = subject.publish("recipes", [*next_units.values()], [NEXT_TOKENS], sections)
    next_tokens = open_collection(subject.folder / NEXT_TOKENS.kind)
    n_asked = len(next_units)
    ask_parts(fewer.measured_by(next_tokens, labels))
    if len(next_units) > n_asked:
        failed = subject.publish("recipes", [*next_units.values()], [NEXT_TOKENS], sections)
        next_tokens = open_collection(subject.folder / NEXT_TOKENS.kind)
    failures += failed
    lost = refused | {(failure.prompt_hash, setting) for failure in failed for setting in failure.settings}
    controls = []
    for recipe in recipes:
        possible = [prompt for prompt in prompts if (prompt.hash, recipe.digest) not in lost]
        beside = Beside(recipe=recipe, prompts=possible)
        try:
            settings, found, failed = controlled(subject, beside, tokens, params)
        except UserError as error:
            print(f"recipes: {recipe.name} stands without controls: {error}")
            settings, found, failed = [], [None] * len(possible), []
        controls.append(beside.told(settings, found, next_tokens, labels))
        failures += failed
    write_recipe_controls(subject.folder / RECIPE_CONTROLS, controls)
    failures += subject.publish("recipes", samples, [SAMPLES], sections, PLACES)
    subject.write_failures("recipes", failures)
    origin = provenance("recipes", subject.manifest, sections)
    outcomes = publish_outcomes(
        subject,
        open_collection(subject.folder / PLACES[SAMPLES.kind]),
        {
            prompt.hash: lexicon["domains"][prompt.domain]["phrases"]
            for prompt in prompts
            if prompt.domain in lexicon["domains"]
        },
        place=OUTCOMES,
        provenance=origin,
    )
    groups = recipe_groups(
        [(recipe.name, recipe.variant, recipe.digest) for recipe in recipes],
        prompts,
        followed(recipes, prompts, next_tokens, outcomes, labels),
        confidence=params.evaluate.confidence,
        resamples=params.features.bootstrap,
        seed=params.runtime.seed,
    )
    groups["fewer"] = subset_group(
        [fewer.told(recipe, next_tokens, labels) for recipe in recipes],
        params.recipes,
        confidence=params.evaluate.confidence,
        resamples=params.features.bootstrap,
        seed=params.runtime.seed,
    )
    write_dataset(subject.folder / RECIPES.kind, RECIPES, groups, provenance=origin)
    write_metrics(subject.folder, "recipes", recipe_metrics(groups["recipes"], groups["fewer"]))
    print(_said(len(recipes), len(there) - len(recipes), len(prompts)))


def _refused(prompt: Prompt, variant: str, digest: str, error: UserError) -> Failure:
    return Failure(
        prompt_hash=prompt.hash,
        variants=(variant,),
        settings=(digest,),
        layer=None,
        position=None,
        token=None,
        reason=str(error),
    )


def _said(followed: int, others: int, prompts: int) -> str:
    """The last line: what was done, and what was left alone."""
    alone = f"; {others} of another dictionary left alone" if others else ""
    if not followed:
        return f"recipes: none in {FOLDER} of this profile's dictionary{alone}. The Steering page saves them."
    return f"recipes: {followed} followed on {prompts} prompts{alone}."


if __name__ == "__main__":
    run_stage(main, Params)
