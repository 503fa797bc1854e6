"""The Hugging Face hub: what a reference means today, and its files on this disk.

The only place that talks to it. What is loaded is named by a commit, so that a repository that is
uploaded again changes nothing until `models` looks at it again; and what is here is loaded without
the network.
"""

import errno
import glob
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils._validators import validate_repo_id
from requests import ConnectionError as NoConnectionError
from requests import HTTPError, RequestException, Timeout

from store.base.atomic import write_text
from store.base.errors import UserError

LISTS: Final = Path(".cache/hub")
"""Which files of a commit were fetched: git-ignored, safe to delete; the files lie in the hub's own cache."""

_REFERENCE: Final = re.compile(
    r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(?P<folder>(?:/\w[\w.-]*)*)(?:@(?P<revision>\w[\w./-]*))?",
    re.ASCII,
)
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_BRANCH: Final = "main"
# No pickled weights, no code, no second copy of the weights in another format.
_WANTED: Final = frozenset({".json", ".yaml", ".safetensors", ".model", ".txt", ".jinja"})
_UNWANTED: Final = "consolidated"
_WRONG_TOKEN: Final = "Invalid credentials"
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


class UnreachableError(UserError):
    """The hub cannot be asked at all: there is no network, or it is not to be used."""


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


def commit_of(reference: Reference, role: str) -> str:
    """The commit that a reference means now; where the hub cannot be reached, what the cache knows.

    Raises
    ------
    UserError
        The hub does not know it, does not show it, or cannot be reached; one sentence for each.
    """
    revision = reference.revision or _BRANCH
    if _COMMIT.fullmatch(revision):
        return revision
    known = _cached(reference) / "refs" / revision
    try:
        with _told(reference, role):
            commit = str(HfApi().repo_info(reference.repository, revision=revision).sha)
    except UnreachableError:
        commit = known.read_text(encoding="utf-8").strip() if known.is_file() else ""
        if not _COMMIT.fullmatch(commit):
            raise
        print(f"The hub cannot be reached: {reference} is commit {commit}, as its cache knows.", flush=True)
        return commit
    if not known.is_file() or known.read_text(encoding="utf-8") != commit:
        with _told(reference, role):
            known.parent.mkdir(parents=True, exist_ok=True)
            write_text(known, commit)
    return commit


def fetched_folder(reference: Reference, role: str) -> Path:
    """The folder on this disk that holds a commit's files, downloaded if need be.

    Subfolders of it are not fetched. Where everything was fetched before there is no request.

    Raises
    ------
    UserError
        As `commit_of`; or the repository has no such folder.
    """
    snapshot = _cached(reference) / "snapshots" / str(reference.revision)
    folder = snapshot / reference.folder
    listed = LISTS / f"{reference.name.replace('/', '--')}@{reference.revision}.json"
    if all((snapshot / name).is_file() for name in _read_list(listed) or [""]):
        return folder
    try:
        with _told(reference, role):
            names = _names(reference)
            if names:
                patterns = [glob.escape(name) for name in names]
                snapshot_download(reference.repository, revision=reference.revision, allow_patterns=patterns)
    except UnreachableError:
        # Fetched for another project, or by other means.
        if folder.is_dir():
            return folder
        raise
    if not names:
        raise UserError(
            f"The {role} {reference}: no file there is of a kind that is read here (safetensors, JSON, "
            "YAML); name another folder of the hub repository in params.yaml."
        )
    write_text(listed, json.dumps(names))
    return folder


def fetched_file(reference: Reference, name: str, role: str) -> Path:
    """One file of a commit on this disk, downloaded if need be; `name` is from the reference's folder.

    Raises
    ------
    UserError
        As `commit_of`; or there is no such file.
    """
    with _told(reference, role, name):
        return Path(
            hf_hub_download(
                reference.repository,
                name,
                subfolder=reference.folder or None,
                revision=reference.revision,
            )
        )


def _cached(reference: Reference) -> Path:
    name = repo_folder_name(repo_id=reference.repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / name


def _read_list(path: Path) -> list[str]:
    try:
        names: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []


def _names(reference: Reference) -> list[str]:
    """Files of a commit that are wanted, in the reference's folder itself."""
    entries = HfApi().list_repo_tree(
        reference.repository, reference.folder or None, revision=reference.revision
    )
    paths = [PurePosixPath(entry.path) for entry in entries if isinstance(entry, RepoFile)]
    return sorted(
        str(path) for path in paths if path.suffix in _WANTED and not path.name.startswith(_UNWANTED)
    )


@contextmanager
def _told(reference: Reference, role: str, file: str = "") -> Iterator[None]:
    """Turn what goes wrong inside into one sentence by its cause."""
    try:
        yield
    except (HfHubHTTPError, RequestException, OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        # Where a request for a file fails, the library says that it is not here, and hides why.
        hidden = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
        raise _sentence(reference, role, file, hidden or error) from error
    except OSError as error:
        if error.errno in _FULL:
            raise
        if error.errno is None:  # a file came with another size than was announced
            raise _interrupted(reference, role) from error
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
    if isinstance(error, RevisionNotFoundError):
        return UserError(
            f"{what}: the hub repository {repository} has no revision {reference.revision or _BRANCH}; "
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
    return _interrupted(reference, role)


def _interrupted(reference: Reference, role: str) -> UserError:
    return UserError(
        f"The download of the {role} {reference} was interrupted; run again, files that are whole are kept."
    )
