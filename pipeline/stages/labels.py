"""Stage `labels`: what people, judges and lexicon say of every candidate, and what counts."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pipeline.items.provenance import provenance
from pipeline.labels.candidates import own_candidates
from pipeline.labels.heads import PeoplesLabels, peoples_labels
from pipeline.labels.journal import read_events
from pipeline.labels.labelled_prompt import LabelledPrompt, labelled_prompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.labels.tables import label_groups
from pipeline.params.project import Params
from pipeline.run.reports import write_metrics
from pipeline.run.stage import artifacts, run_stage
from pipeline.text.lexicon_file import read_lexicon
from store.collections.reader import open_collection
from store.datasets.groups import write_dataset
from store.documents.manifest import read_manifest
from store.documents.prompts import read_prompts
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.documents.variants import BASE
from store.documents.verdicts import read_verdicts
from store.schema.labels import CHANGES, LABELS


def summary(prompts: Sequence[LabelledPrompt], people: PeoplesLabels, known: set[str]) -> dict[str, Any]:
    """Metrics: prompts by state, labels by origin, and what people said that counts for nothing here."""
    changes = Counter(prompt.state.change for prompt in prompts)
    origins = Counter((each.origin or "nobody", each.label) for prompt in prompts for each in prompt.counted)
    elsewhere = {prompt for of in people.labels.values() for prompt in of} - known
    return {
        "prompts": len(prompts),
        "complete": sum(prompt.state.complete for prompt in prompts),
        "rejected": sum(bool(prompt.rejected_by) for prompt in prompts),
        "divergent": sum(prompt.state.divergent for prompt in prompts),
        "changes": {change: changes[change] for change in CHANGES},
        "labels": {f"{label}, by {origin}": n for (origin, label), n in sorted(origins.items())},
        "orphaned_labels": len(people.orphaned),
        "labelled_prompts_of_other_profiles": len(elsewhere),
    }


def main(profile: str, params: Params) -> None:
    """Write the labels of a profile."""
    folder = artifacts(profile)
    manifest = read_manifest(folder / "models.json")
    prompts = read_prompts(folder / "prompts.json")
    texts = read_token_texts(folder / "vocabulary.json")
    lexicon = read_lexicon(folder / "lexicon.json")
    verdicts = read_verdicts(folder)
    people = peoples_labels(read_events(), tokenizer=tokenizer_fingerprint(texts), texts=texts)
    focus = str(manifest.variant(manifest.focus))
    found = open_collection(folder / "candidates")
    resolved = []
    for prompt in prompts:
        own = own_candidates(found, prompt.hash)
        # A prompt that one of the two failed on is traced by neither.
        if {BASE, focus} <= own.keys():
            resolved.append(labelled_prompt(prompt, own, focus, lexicon, verdicts, people, params.labels))
    raters = [LEXICON, *sorted(verdicts), *sorted(f"{HUMAN}{author}" for author in people.labels)]
    write_dataset(
        folder / LABELS.kind,
        LABELS,
        label_groups(resolved, raters),
        provenance=provenance("labels", manifest, {"labels": params.labels.model_dump()}),
    )
    write_metrics(folder, "labels", summary(resolved, people, {prompt.hash for prompt in prompts}))


if __name__ == "__main__":
    run_stage(main, Params)
