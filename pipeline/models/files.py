"""From a source (a local folder, or a hub name and revision) to a folder on this disk.

The only place that knows the hub: everything after it reads a folder, so that a local
model and a hub model cannot take different paths (trap 7).
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import yaml
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from safetensors import SafetensorError, safe_open

from store.base.errors import UserError
from store.base.hashing import digest, folder_digest
from store.documents.manifest import Source

_HUB_NAME: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
# No pickled weights, no code, no second copy of the weights in another format.
_WANTED: Final = ("*.json", "*.yaml", "*.safetensors", "*.model", "*.txt", "*.jinja")
_UNWANTED: Final = ("original/*", "onnx/*", "consolidated*")


def pinned(source: str, revision: str | None, role: str) -> Source:
    """Fingerprint a source; a hub revision is resolved to its commit.

    Raises
    ------
    UserError
        There is neither such a folder nor such a hub repository.
    """
    if Path(source).is_dir():
        return Source(source=source, revision=None, fingerprint=folder_digest(Path(source)))
    _require_hub_name(source, role)
    commit = revision
    if revision is None or not _COMMIT.fullmatch(revision):
        try:
            commit = HfApi().repo_info(source, revision=revision).sha
        except (HfHubHTTPError, OSError) as error:
            raise _unreachable(source, revision, role) from error
    return Source(source=source, revision=commit, fingerprint=digest({"source": source, "commit": commit}))


def folder_of(source: Source, role: str) -> Path:
    """Folder on this disk that holds a source's files, downloaded if need be.

    Raises
    ------
    UserError
        The folder is missing, or the hub repository cannot be had.
    """
    if Path(source.source).is_dir():
        return Path(source.source)
    _require_hub_name(source.source, role)
    try:
        return Path(
            snapshot_download(
                source.source,
                revision=source.revision,
                allow_patterns=list(_WANTED),
                ignore_patterns=list(_UNWANTED),
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise _unreachable(source.source, source.revision, role) from error


def require_file(folder: Path, name: str, role: str) -> Path:
    """A file that the folder must have.

    Raises
    ------
    UserError
        It is missing.
    """
    path = folder / name
    if not path.is_file():
        raise UserError(f"The {role} folder {folder} has no {name}; is it the right folder?")
    return path


def read_mapping(path: Path) -> dict[str, Any]:
    """What a JSON or YAML file says, which must be keys and values.

    Raises
    ------
    UserError
        It is something else.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content: Any = yaml.safe_load(text) if path.suffix == ".yaml" else json.loads(text)
    except (ValueError, yaml.YAMLError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, "no keys and values in it")
    return content


def require_sound(path: Path) -> Path:
    """A JSON, YAML or safetensors file that can be read; of the latter, the header is.

    Raises
    ------
    UserError
        It cannot.
    """
    if path.suffix == ".safetensors":
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise damaged(path, error) from error
    else:
        read_mapping(path)
    return path


def damaged(path: Path, why: Exception | str) -> UserError:
    """The error that tells of a file whose content is not what its name promises."""
    return UserError(
        f"{path} is damaged, or a git-lfs pointer that was not fetched ({one_line(why)}); "
        "run `git lfs pull` in its repository, or copy or download it again."
    )


def one_line(error: Exception | str) -> str:
    """A library's message without line breaks and full stop, to be quoted in a sentence."""
    return " ".join(str(error).split()).removesuffix(".")


def _require_hub_name(source: str, role: str) -> None:
    if not _HUB_NAME.fullmatch(source):
        raise UserError(
            f"The {role} folder {source} does not exist (and is no hub name); "
            "correct the path in params.yaml, or make it with `dvc repro` or `dvc pull`."
        )


def _unreachable(source: str, revision: str | None, role: str) -> UserError:
    at = f" at revision {revision}" if revision else ""
    return UserError(
        f"The {role} {source}{at} is neither a folder here nor a hub repository that can be "
        "reached; check the name in params.yaml, the network, and access with `hf auth login`."
    )
