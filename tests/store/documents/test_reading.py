"""Damaged documents are a sentence that names the file and the way out."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from store import ArtifactMissingError, DamagedArtifactError, UnknownFormatError
from store.documents.manifest import MANIFEST_VERSION, read_manifest
from store.documents.prompts import PROMPTS_VERSION, read_prompts

READERS = {"models.json": read_manifest, "prompts.json": read_prompts}
VERSIONS = {"models.json": MANIFEST_VERSION, "prompts.json": PROMPTS_VERSION}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b'{"format_version": 1', "is not valid JSON"),
        (b"\xff\xfe", "is not UTF-8 text"),
        (b"[1]", "has another form than the pipeline writes"),
        (b"null", "has another form than the pipeline writes"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"format_version": ' + b"9" * 5_000 + b"}", "is not valid JSON"),
        (b'{"format_version": "\\ud800"}', "is not valid JSON"),
        (b'{"format_version": 1}', "has another form than the pipeline writes"),
        (b'{"format_version": 1, "prompts": [{"hash": 1}], "adapters": null}', "has another form"),
    ],
)
def test_a_damaged_document_is_a_sentence(tmp_path: Path, name: str, content: bytes, what: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DamagedArtifactError, match=f"{name} {what}.*`dvc repro` makes it anew") as error:
        READERS[name](path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READERS)
def test_another_version_and_no_file_at_all(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(ArtifactMissingError, match="`dvc repro` makes it"):
        READERS[name](path)
    path.write_text(json.dumps({"format_version": VERSIONS[name] + 1}), encoding="utf-8")
    with pytest.raises(UnknownFormatError, match="run `dvc repro` to make it anew"):
        READERS[name](path)


def test_reading_documents_needs_no_torch() -> None:
    code = "import sys, store.documents.manifest, store.documents.token_texts; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"torch", "transformers", "zarr", "pandas"}.isdisjoint(done.stdout.split())
