"""What goes wrong between here and the hub: a sentence by cause, with the way out."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from huggingface_hub import constants
from huggingface_hub.errors import (
    DisabledRepoError,
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from requests import ConnectionError as NoConnectionError
from requests import HTTPError, RequestException, Timeout
from requests.exceptions import InvalidSchema, InvalidURL, MissingSchema

from pipeline.models.hub_references import Reference
from store.base.errors import UserError
from store.base.parsing import one_line

BRANCH: Final = "main"
"""What a reference without a revision means."""

_WRONG_TOKEN: Final = "Invalid credentials"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class UnreachableError(UserError):
    """The hub cannot be asked at all: there is no network, or it is not to be used."""


@contextmanager
def told(reference: Reference, role: str, file: str = "") -> Iterator[None]:
    """Turn what goes wrong inside into one sentence by its cause."""
    try:
        yield
    except (HfHubHTTPError, RequestException, OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        # Where a request for a file fails, the library says that it is not here, and hides why.
        hidden = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        raise _sentence(reference, role, file, hidden or error) from error
    except (ConnectionError, TimeoutError, RuntimeError) as error:
        # Large files come by a client in Rust, which raises these, from a storage of other addresses.
        raise interrupted(
            reference,
            role,
            f" ({one_line(error)})",
            "; where that repeats itself, HF_HUB_DISABLE_XET=1 fetches them another way",
        ) from error
    except OSError as error:
        if error.errno in _FULL:
            raise
        if error.errno is None:  # a file came with another size than was announced
            raise interrupted(reference, role) from error
        raise UserError(
            f"The {role} {reference} cannot be kept in the hub's cache {constants.HF_HUB_CACHE} "
            f"({error.strerror}); make that folder writable, or name another one with HF_HOME."
        ) from error


def _sentence(reference: Reference, role: str, file: str, error: BaseException) -> UserError:
    what, repository = f"The {role} {reference}", reference.repository
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        return UnreachableError(
            f"{what} is neither a folder here nor in the hub's cache {constants.HF_HUB_CACHE}, and "
            "HF_HUB_OFFLINE forbids to fetch it; unset that and run once with a network, or correct the name."
        )
    if isinstance(error, InvalidSchema | InvalidURL | MissingSchema):
        return UserError(
            f"{what} cannot be asked for: HF_ENDPOINT is {constants.ENDPOINT}, which is no address of a web "
            "server; correct or unset it."
        )
    if isinstance(error, NoConnectionError | Timeout):
        return UnreachableError(
            f"{what} is neither a folder here nor in the hub's cache, and {constants.ENDPOINT} cannot be "
            "reached; check the network (and HTTPS_PROXY, where there is a proxy) and run again."
        )
    if isinstance(error, GatedRepoError):
        return UserError(
            f"{what} is gated: ask for access at {constants.ENDPOINT}/{repository}, then log in here with "
            "`hf auth login`."
        )
    if isinstance(error, DisabledRepoError):
        return UserError(
            f"{what} cannot be had: the hub has taken {repository} down; name another copy in params.yaml."
        )
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"{what}: the hub repository {repository} has no revision {reference.revision or BRANCH}; "
            f"correct it in params.yaml, {constants.ENDPOINT}/{repository}/tree/main lists those there are."
        )
    if isinstance(error, EntryNotFoundError):
        missing = f"file {file}" if file else f"folder {reference.folder}"
        return UserError(
            f"{what}: the hub repository {repository} has no {missing} at that revision; "
            "correct it in params.yaml."
        )
    answer = error.response if isinstance(error, HTTPError) else None
    status = 0 if answer is None else answer.status_code
    rejected = answer is not None and _WRONG_TOKEN in answer.headers.get("X-Error-Message", "")
    if isinstance(error, RepositoryNotFoundError) or (status == 401 and not rejected):
        # What is private is not there for those who are not logged in.
        return UserError(
            f"{what} is neither a folder here nor a hub repository that may be read: {repository} is not "
            "there, or private; correct the name in params.yaml, or log in with `hf auth login`."
        )
    if status in {401, 403}:
        why = "does not accept the token here" if rejected else "forbids it to who is logged in here"
        return UserError(
            f"{what} cannot be had: the hub {why}; log in anew with `hf auth login`, or correct HF_TOKEN."
        )
    if status == 429:
        return UserError(
            f"{what} cannot be had: the hub was asked too often ({status}); wait some minutes, or log in "
            "with `hf auth login`, which allows more."
        )
    if status:
        return UserError(
            f"{what} cannot be had: the hub answers {status}; run again later (with HF_HUB_OFFLINE=1 what is "
            "in its cache is taken as it is)."
        )
    return interrupted(reference, role)


def interrupted(reference: Reference, role: str, why: str = "", more: str = "") -> UserError:
    """The error of a download that ended too early, and may end better another time."""
    return UserError(
        f"The download of the {role} {reference} was interrupted{why}; run again, files that are whole are "
        f"kept{more}."
    )
