"""Which open question a prompt asks, if it asks one: by its token ids, or by how the profile's are asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dashboard.data import answers, documents, project
from store.documents.questions import Question
from store.documents.split_characters import joined
from store.documents.token_texts import token_text


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An open question that a prompt asks.

    Attributes
    ----------
    question
        The profile's, or one of its own that is asked, and judged, as one of these is.
    wording
        What the user asks.
    """

    question: Question
    wording: str


def prompt_text(profile: str, token_ids: Sequence[int]) -> str:
    """A prompt as a person types it: without the BOS token in front, which is put there again."""
    words = documents.vocabulary(profile)
    return joined([token_text(words, token) for token in token_ids[1:]])


def asked(profile: str, token_ids: Sequence[int], text: str, domain: str | None) -> Asked | None:
    """The open question that a prompt asks; None: it asks none.

    Parameters
    ----------
    profile
        Its ``questions.json`` says what is asked, and in which form.
    token_ids
        Of the prompt, BOS in front.
    text
        The prompt, without BOS.
    domain
        What it is about, if its file does not say so. Of a question that stands in no file: None: what the
        one is about that is asked as it is.
    """
    if not project.made(profile, answers.QUESTIONS):
        return None
    known = [
        (question, wording)
        for question in answers.questions(profile).values()
        for wording in question.paraphrases
    ]
    for question, wording in known:
        if wording.token_ids == tuple(token_ids):
            return Asked(question=replace(question, domain=question.domain or domain), wording=wording.text)
    for question, wording in known:
        front, between, behind = prompt_text(profile, wording.token_ids).partition(wording.text)
        # Asked as nothing but itself, a question could be any text.
        if not between or not front or not behind:
            continue
        own = text.removeprefix(front).removesuffix(behind)
        if own.strip() and f"{front}{own}{behind}" == text and behind not in own:
            return Asked(question=replace(question, domain=domain or question.domain), wording=own)
    return None
