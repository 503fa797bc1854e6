"""Errors told in one sentence; the store's are also the built-in error that a caller would expect."""

from typing import Final

OLDER: Final = "it was made by an older version of this code; `dvc repro` makes it anew."
"""Ends the message of a `NotInStoreError` where a later format version has what is asked for."""


class UserError(Exception):
    """A mistake in the user's files, parameters or environment.

    The message is one sentence that names the file, line or parameter and the way out.
    """


class PromptError(UserError):
    """A prompt that cannot be computed, though others may.

    Attributes
    ----------
    layer, position
        Where it goes wrong, 0-based; None where it is no matter of one place.
    """

    def __init__(self, message: str, *, layer: int | None = None, position: int | None = None) -> None:
        super().__init__(message)
        self.layer = layer
        self.position = position


class StoreError(Exception):
    """Something is wrong with an artifact; the message names it and the way out."""


class ArtifactMissingError(StoreError, FileNotFoundError):
    """An artifact has not been made yet; the message names the command that makes it."""


class DamagedArtifactError(StoreError, ValueError):
    """A chunk is missing, truncated or altered; the message names array and prompt."""


class ReplacedArtifactError(StoreError, RuntimeError):
    """An artifact was published anew while it was open; opening it again gives the new one."""


class UnknownFormatError(StoreError, ValueError):
    """An artifact of another format version; the message names the remedy."""


class InvalidItemError(StoreError, ValueError):
    """What was to be written does not follow the schema; the message names the array."""


class NotInStoreError(StoreError, KeyError):
    """A prompt, variant or feature that this artifact does not hold."""

    def __str__(self) -> str:  # KeyError would print the repr of the message
        return str(self.args[0]) if self.args else ""
