"""All labels of a profile, resolved from what lies in its folder and what people have said."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.labels.candidates import own_candidates
from pipeline.labels.events import Event, TokenEvent
from pipeline.labels.heads import PeoplesLabels, heads, peoples_labels
from pipeline.labels.labelled_prompt import LabelledPrompt, labelled_prompt
from pipeline.labels.resolution import HUMAN, LEXICON
from pipeline.params.labels import LabelParams
from pipeline.text.lexicon_file import read_lexicon
from store.collections.reader import open_collection
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt, read_prompts
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.documents.variants import BASE
from store.documents.verdicts import read_verdicts


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Labels of a profile.

    Attributes
    ----------
    prompts
        All of them, by hash.
    labelled
        Those on which base and focus variant have candidates.
    raters
        In the order in which they are stored.
    people
        What people say.
    blind
        What of it they said before they saw what judges say.
    """

    prompts: Mapping[str, Prompt]
    labelled: Sequence[LabelledPrompt]
    raters: Sequence[str]
    people: PeoplesLabels
    blind: PeoplesLabels


def resolve(
    folder: Path,
    manifest: Manifest,
    events: Sequence[Event],
    params: LabelParams,
    only: Collection[str] | None = None,
) -> Resolved:
    """Resolve the labels of a profile's folder; errors as of the documents and collections that it reads.

    With `only`, those of these prompts, by hash.
    """
    prompts = {prompt.hash: prompt for prompt in read_prompts(folder / "prompts.json")}
    texts = read_token_texts(folder / "vocabulary.json")
    lexicon, verdicts = read_lexicon(folder / "lexicon.json"), read_verdicts(folder)
    tokenizer = tokenizer_fingerprint(texts)
    people = peoples_labels(events, tokenizer=tokenizer, texts=texts)
    blind = peoples_labels(_blind(events), tokenizer=tokenizer, texts=texts)
    focus = str(manifest.variant(manifest.focus))
    found = open_collection(folder / "candidates")
    labelled = []
    chosen = prompts.values() if only is None else [prompts[each] for each in only if each in prompts]
    for prompt in chosen:
        own = own_candidates(found, prompt.hash)
        # A prompt that one of the two failed on is traced by neither.
        if {BASE, focus} <= own.keys():
            labelled.append(labelled_prompt(prompt, own, focus, lexicon, verdicts, people, params))
    return Resolved(
        prompts=prompts,
        labelled=labelled,
        raters=[LEXICON, *sorted(verdicts), *sorted(f"{HUMAN}{author}" for author in people.labels)],
        people=people,
        blind=blind,
    )


def _blind(events: Sequence[Event]) -> list[Event]:
    """What holds, without labels that were given in sight of others' verdicts."""
    return [
        event.model_copy(update={"replaces": ()})
        for event in heads(events)
        if not (isinstance(event, TokenEvent) and event.shown)
    ]
