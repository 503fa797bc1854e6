"""How a prompt opens: positions at its front that have no features, and what must stand there.

circuit-tracer 0.5.0 zeroes features at BOS, and for instruction-tuned Gemma-3 at all four tokens that open
a chat, which GemmaScope 2 was not trained on; it tells such a model by its name, and refuses prompts that
open otherwise (`circuit_tracer.replacement_model.common.ensure_tokenized`). Nothing here loads torch.
"""

from collections.abc import Sequence
from typing import Final

from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.prompts import Prompt

_GEMMA_3: Final = "Gemma3ForCausalLM"
_OPENING: Final = ("<bos>", "<start_of_turn>", "user", "\n")


def zeroed_positions(name: str) -> int:
    """Positions at the front whose features are zeroed, by what the model is called."""
    return len(_OPENING) if "gemma-3" in name and name.endswith("-it") else 1


def require_opening(manifest: Manifest, prompts: Sequence[Prompt]) -> None:
    """Refuse prompts whose first tokens are zeroed and should not be, or the other way round.

    Raises
    ------
    UserError
        A prompt of an instruction-tuned Gemma-3 is no chat, or one that is stands before a model that is
        not called as one.
    """
    for prompt in prompts:
        why = misopened(manifest, prompt.tokens, instead="write it as `messages` in a prompt file")
        if why:
            raise UserError(f"{prompt.source}: the prompt {why}.")


def misopened(manifest: Manifest, tokens: Sequence[str], *, instead: str) -> str:
    """What is wrong with how a prompt of these tokens opens, and the way out; empty: nothing.

    Parameters
    ----------
    manifest
        Of the model that reads it.
    tokens
        The prompt's, at least the first five where it has so many.
    instead
        What to do with a prompt that should be a chat and is none.
    """
    if manifest.model.architecture != _GEMMA_3:
        return ""
    source = manifest.base.source
    zeroed = zeroed_positions(source)
    opened = tuple(tokens[: len(_OPENING)]) == _OPENING
    if opened and zeroed == 1:
        return (
            f"is a chat, but the model {source} is not called as an instruction-tuned Gemma-3 is, so "
            "circuit-tracer would zero only its first position; let the name of its folder hold gemma-3 and "
            "end with -it"
        )
    if zeroed > 1 and not (opened and len(tokens) > zeroed):
        return (
            f"does not open with <bos><start_of_turn>user and a line break, but the first {zeroed} tokens of "
            f"{source} have no features; {instead}"
        )
    return ""
