"""What people have settled of a profile's prompts so far, those that were only just found among them."""

from collections.abc import Sequence

from pipeline.discover.log import Log
from pipeline.discover.shape import text_of
from pipeline.discover.told import Told, tell
from pipeline.items.subject import Subject
from pipeline.labels.candidates import Own, own_candidates
from pipeline.labels.heads import PeoplesLabels, peoples_labels
from pipeline.labels.journal import read_events
from store.collections.reader import open_collection
from store.documents.token_texts import tokenizer_fingerprint
from store.documents.variants import BASE
from store.schema.candidates import CANDIDATES


class Settled:
    """Reads the journals of labels anew whenever it is asked: people label beside the rounds.

    Parameters
    ----------
    subject, log, texts
        The profile, what was found, and the text of every token id.
    """

    def __init__(self, subject: Subject, log: Log, texts: Sequence[str]) -> None:
        self._subject = subject
        self._log = log
        self._texts = texts
        self._tokenizer = tokenizer_fingerprint(texts)

    def people(self) -> PeoplesLabels:
        """What people say now."""
        return peoples_labels(read_events(), tokenizer=self._tokenizer, texts=self._texts)

    def told(self) -> Told:
        """Prompts that people settled, the newest ones first."""
        events = read_events()
        people = peoples_labels(events, tokenizer=self._tokenizer, texts=self._texts)
        touched = {
            prompt for of in (people.labels, people.rejections) for who in of.values() for prompt in who
        }
        prompts: dict[str, str] = {}
        own: dict[str, Own] = {}
        for outcome in reversed(list(self._log.found.outcomes.values())):
            if outcome.prompt_hash in touched and outcome.draft is not None and outcome.candidates:
                prompts[outcome.prompt_hash] = text_of(outcome.draft.words())
                own[outcome.prompt_hash] = outcome.own()
        for prompt, found in self._published(touched - prompts.keys()).items():
            prompts[prompt] = self._subject.prompts[prompt].text
            own[prompt] = found
        return tell(prompts.items(), own, people, events, self._texts)

    def _published(self, wanted: set[str]) -> dict[str, Own]:
        """Candidates of stage `candidates`, of prompts that both variants have some on."""
        place = self._subject.folder / CANDIDATES.kind
        if not wanted or not place.exists():
            return {}
        found = open_collection(place)
        own = {prompt: own_candidates(found, prompt) for prompt in found.prompts() if prompt in wanted}
        both = {BASE, self._subject.focus}
        return {
            prompt: of for prompt, of in own.items() if both <= of.keys() and prompt in self._subject.prompts
        }
