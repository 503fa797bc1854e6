"""The Hugging Face hub: what a reference means today, and its files on this disk.

The only place that talks to it. What is loaded is named by a commit, so that a repository that is
uploaded again changes nothing until `models` looks at it again; and what is here is loaded without
the network.
"""

import glob
import json
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Final

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import SafetensorsParsingError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import RepoFile
from pydantic import TypeAdapter, ValidationError

from pipeline.models.hub_errors import BRANCH, UnreachableError, interrupted, told
from pipeline.models.hub_references import Reference, is_commit
from store.base.atomic import write_text
from store.base.errors import UserError
from store.base.parsing import one_line

LISTS: Final = Path(".cache/hub")
"""Which files a commit has, and digests of the large ones: git-ignored, safe to delete; the files lie in the
hub's own cache."""

# No pickled weights, no code, no second copy of the weights in another format.
_WANTED: Final = frozenset({".json", ".yaml", ".safetensors", ".model", ".txt", ".jinja"})
_UNWANTED: Final = "consolidated"
WEIGHTS: Final = ".safetensors"
_FILES: Final = TypeAdapter(dict[str, str | None])


def commit_of(reference: Reference, role: str) -> str:
    """The commit that a reference means now; where the hub cannot be reached, what the cache knows.

    Raises
    ------
    UserError
        The hub does not know it, does not show it, or cannot be reached; one sentence for each.
    """
    revision = reference.revision or BRANCH
    if is_commit(revision):
        return revision
    known = _cached(reference) / "refs" / revision
    try:
        with told(reference, role):
            commit = str(HfApi().repo_info(reference.repository, revision=revision).sha)
    except UnreachableError:
        commit = known.read_text(encoding="utf-8").strip() if known.is_file() else ""
        if not is_commit(commit):
            raise
        print(f"The hub cannot be reached: {reference} is commit {commit}, as its cache knows.", flush=True)
        return commit
    if not known.is_file() or known.read_text(encoding="utf-8") != commit:
        with told(reference, role):
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
    if _are_there(snapshot, _read_list(reference)):
        return folder
    try:
        names = _listed(reference, role)
        with told(reference, role):
            patterns = [glob.escape(name) for name in names]
            snapshot_download(reference.repository, revision=reference.revision, allow_patterns=patterns)
    except UnreachableError:
        # Fetched for another project, or by other means.
        if not folder.is_dir():
            raise
        print(
            f"The hub cannot be reached: of the {role} {reference} is taken what its cache holds.", flush=True
        )
        return folder
    # Where the hub fails between two requests, its client is content with what is there.
    if not _are_there(snapshot, names):
        raise interrupted(reference, role)
    return folder


def weights_of(reference: Reference, role: str) -> frozenset[str]:
    """SHA-256 of each of a commit's files of weights, as the hub tells them: no file is fetched.

    Raises
    ------
    UserError
        As `fetched_folder`.
    """
    files = _read_list(reference) or _listed(reference, role)
    return frozenset(digest for name, digest in files.items() if digest and name.endswith(WEIGHTS))


def names_of(reference: Reference, role: str) -> frozenset[str]:
    """Names of a commit's files that are read here, in the reference's folder itself: no file is fetched.

    Raises
    ------
    UserError
        As `fetched_folder`.
    """
    try:
        files: Iterable[str] = _read_list(reference) or _listed(reference, role)
    except UnreachableError:
        folder = _cached(reference) / "snapshots" / str(reference.revision) / reference.folder
        if not folder.is_dir():
            raise
        files = (path.name for path in folder.iterdir())
    return frozenset(PurePosixPath(name).name for name in files)


def sizes_of(reference: Reference, role: str) -> Mapping[str, int]:
    """Bytes of a commit's files that are read here, in the reference's folder itself, by their names.

    Raises
    ------
    UserError
        As `fetched_folder`.
    """
    with told(reference, role):
        tree = HfApi().list_repo_tree(
            reference.repository, reference.folder or None, revision=reference.revision
        )
        files = [entry for entry in tree if isinstance(entry, RepoFile)]
    return {PurePosixPath(file.path).name: file.size for file in files if _is_named(file.path)}


def shapes_of(reference: Reference, name: str, role: str) -> Mapping[str, tuple[int, ...]]:
    """Shapes of the tensors of one safetensors file, by its header alone: the file is not fetched.

    Raises
    ------
    UserError
        As `commit_of`; or there is no such file, or it is damaged.
    """
    path = f"{reference.folder}/{name}" if reference.folder else name
    try:
        with told(reference, role, name):
            header = HfApi().parse_safetensors_file_metadata(
                reference.repository, path, revision=reference.revision
            )
    except (SafetensorsParsingError, ValueError, struct.error) as error:
        raise UserError(
            f"The {role} {reference}: {name} is damaged ({one_line(error)}); name another revision in "
            "params.yaml."
        ) from error
    return {tensor: tuple(said.shape) for tensor, said in header.tensors.items()}


def kept_file(reference: Reference, name: str) -> Path | None:
    """One file of a commit, where it is on this disk already; asks nobody."""
    path = _cached(reference) / "snapshots" / str(reference.revision) / reference.folder / name
    return path if path.is_file() else None


def fetched_file(reference: Reference, name: str, role: str) -> Path:
    """One file of a commit on this disk, downloaded if need be; `name` is from the reference's folder.

    Raises
    ------
    UserError
        As `commit_of`; or there is no such file.
    """
    with told(reference, role, name):
        return Path(
            hf_hub_download(
                reference.repository,
                name,
                subfolder=reference.folder or None,
                revision=reference.revision,
            )
        )


def is_wanted(path: PurePath) -> bool:
    """Whether a file of a model's folder is one that is read here."""
    return path.suffix in _WANTED and not path.name.startswith(_UNWANTED)


def _is_named(path: str) -> bool:
    return is_wanted(PurePosixPath(path)) or path.endswith(".npz")


def _cached(reference: Reference) -> Path:
    name = repo_folder_name(repo_id=reference.repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / name


def _list_path(reference: Reference) -> Path:
    return LISTS / f"{reference.name.replace('/', '--')}@{reference.revision}.json"


def _read_list(reference: Reference) -> Mapping[str, str | None]:
    """What `_listed` kept; empty where it did not, or where that is damaged."""
    try:
        return _FILES.validate_json(_list_path(reference).read_bytes())
    except (OSError, ValidationError):
        return {}


def _listed(reference: Reference, role: str) -> Mapping[str, str | None]:
    """Files of a commit that are wanted, in the reference's folder itself, and digests of the large ones."""
    with told(reference, role):
        entries = list(
            HfApi().list_repo_tree(
                reference.repository, reference.folder or None, revision=reference.revision
            )
        )
    files = {
        entry.path: None if entry.lfs is None else entry.lfs.sha256
        for entry in entries
        if isinstance(entry, RepoFile) and is_wanted(PurePosixPath(entry.path))
    }
    if not files:
        raise UserError(
            f"The {role} {reference}: no file there is of a kind that is read here (safetensors, JSON, "
            "YAML); name another folder of the hub repository in params.yaml."
        )
    write_text(_list_path(reference), json.dumps(files, sort_keys=True))
    return files


def _are_there(snapshot: Path, names: Iterable[str]) -> bool:
    """Whether there are names, and files of them."""
    found = [(snapshot / name).is_file() for name in names]
    return bool(found) and all(found)
