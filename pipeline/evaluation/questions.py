"""Questions as they are asked: every wording rendered by the chat template, or a text, and tokenized once."""

from typing import TYPE_CHECKING

from pipeline.evaluation.question_files import QUESTION, Placed, QuestionEntry
from pipeline.prompts.rendering import Rendered, longer_than, render_messages, render_text
from pipeline.text.chats import PLAIN, Chat
from store.base.errors import UserError
from store.base.hashing import PROMPT_HASH_DIGITS, digest
from store.documents.questions import Paraphrase, Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def make_question(
    placed: Placed, tokenizer: "PreTrainedTokenizerBase", *, longest: int, chat: Chat = PLAIN
) -> Question:
    """A question as it is asked: every wording rendered, hashed and tokenized.

    Parameters
    ----------
    placed
        Its entry.
    tokenizer
        With a chat template, which wordings are then rendered by; else the entry's `text` is used.
    longest
        So many tokens the model reads before it answers, BOS included.
    chat
        Switches of the template.

    Raises
    ------
    UserError
        It has a system prompt, or no `text`, and the tokenizer no chat template; or a wording is too long
        or cannot be rendered.
    """
    entry = placed.entry
    rendered = []
    for number, wording in enumerate(entry.paraphrases):
        try:
            one = _render(entry, wording, tokenizer, longest, chat)
        except UserError as error:
            raise UserError(f"{placed.place}, paraphrase {number + 1}: {error}.") from error
        rendered.append(one)
    hashes = [one.hash for one in rendered]
    return Question(
        hash=digest([entry.name, entry.asked_as, hashes])[:PROMPT_HASH_DIGITS],
        id=entry.name,
        form=entry.asked_as,
        domain=entry.domain,
        judge_prompts=dict(entry.judge_prompts),
        paraphrases=tuple(
            Paraphrase(text=wording, rendered=one.text, token_ids=one.token_ids)
            for wording, one in zip(entry.paraphrases, rendered, strict=True)
        ),
        source=placed.path,
    )


def _render(
    entry: QuestionEntry, wording: str, tokenizer: "PreTrainedTokenizerBase", longest: int, chat: Chat
) -> Rendered:
    if longer_than(longest, [wording, entry.system or "", entry.text or ""]) is not None:
        raise UserError(f"it is longer than the {longest} tokens that leave room for an answer; shorten it")
    if tokenizer.chat_template:
        messages = [{"role": "system", "content": entry.system}] if entry.system else []
        rendered = render_messages(tokenizer, [*messages, {"role": "user", "content": wording}], chat)
    elif entry.system is not None:
        raise UserError(
            "it has a system prompt, but the model's tokenizer has no chat template to put it in; leave the "
            "question out"
        )
    elif entry.text is None:
        raise UserError(
            "the model's tokenizer has no chat template, and the question does not say how it is asked "
            f'without one; add `text`, such as "User: {QUESTION}\\nAssistant:"'
        )
    else:
        rendered = render_text(tokenizer, entry.text.replace(QUESTION, wording))
    length = len(rendered.token_ids)
    if length > longest:
        raise UserError(
            f"it is {length} tokens long, but only {longest} leave room for an answer in the model's "
            "context; shorten it, or the answers (max_answer_tokens of the profile)"
        )
    return rendered
