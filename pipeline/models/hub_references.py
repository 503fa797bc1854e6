"""What stands in ``params.yaml`` for something on the Hugging Face hub. Asks nobody."""

import re
from dataclasses import dataclass
from typing import Final

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

_REFERENCE: Final = re.compile(
    r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?P<folder>(?:/\w[\w.-]*)*)(?:@(?P<revision>\w[\w./-]*))?",
    re.ASCII,
)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What stands in ``params.yaml`` for something on the hub: ``owner/name[/folder][@revision]``.

    Attributes
    ----------
    repository
        ``owner/name``.
    folder
        Inside of it, such as ``checkpoint-1191``; empty for its root.
    revision
        Branch, tag or commit; None: what the hub shows first.
    """

    repository: str
    folder: str = ""
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference | None":
        """The reference that a text is; None where it can be none."""
        match = _REFERENCE.fullmatch(text)
        if match is None or ".." in text:
            return None
        try:
            validate_repo_id(match["repository"])
        except HFValidationError:
            return None
        folder = match["folder"].removeprefix("/")
        return cls(repository=match["repository"], folder=folder, revision=match["revision"])

    @property
    def name(self) -> str:
        """Without the revision."""
        return f"{self.repository}/{self.folder}" if self.folder else self.repository

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def is_commit(text: str) -> bool:
    """Whether a revision is a whole commit, which means the same for ever."""
    return _COMMIT.fullmatch(text) is not None
