"""Prompts that doses are measured on."""

from store.documents.prompts import Prompt


def a_prompt(
    number: int, ids: list[int], *, situation: str, domain: str | None, tags: tuple[str, ...]
) -> Prompt:
    return Prompt(
        hash=f"{number:012x}",
        name=f"prompt {number}",
        situation=situation,
        domain=domain,
        held_out=False,
        tags=tags,
        text="",
        token_ids=tuple(ids),
        tokens=tuple(map(str, ids)),
        source="here",
    )
