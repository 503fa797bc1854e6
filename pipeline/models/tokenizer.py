"""The tokenizer of a subject, loaded without its models."""

from typing import TYPE_CHECKING, Final

from pipeline.models.files import damaged, folder_of, read_mapping, require_file
from store.base.errors import UserError
from store.base.parsing import one_line
from store.documents.manifest import Manifest, Source

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_VOCABULARIES: Final = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt")


def load_tokenizer(manifest: Manifest) -> "PreTrainedTokenizerBase":
    """The base model's tokenizer; variants share it. Errors as `read_tokenizer`."""
    return read_tokenizer(manifest.base)


def read_tokenizer(base: Source) -> "PreTrainedTokenizerBase":
    """The tokenizer of a base model, where there is no manifest yet.

    Raises
    ------
    UserError
        Its files are missing or damaged.
    """
    from transformers import AutoTokenizer  # seconds, and torch unless its caller says otherwise

    folder = folder_of(base, "model")
    read_mapping(require_file(folder, "tokenizer_config.json", "model"))
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        require_file(folder, "tokenizer.json", "model")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(
            f"The tokenizer in {folder} cannot be read ({one_line(error)}); correct "
            "tokenizer_config.json and tokenizer.json there, or copy or download them again."
        ) from error
    except Exception as error:
        # The tokenizers library raises nothing more specific on a file that it cannot read.
        if type(error) is not Exception:
            raise
        raise damaged(folder / "tokenizer.json", error) from error
    return tokenizer
