"""Whatever stands in a document of a profile: as written, or refused in one sentence that names the file."""

import json
import random
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter

from pipeline.text.lexicon_file import read_lexicon
from store.base.checksums import altered, missing_files, write_checksums
from store.base.errors import DamagedArtifactError, StoreError
from store.documents.failures import Failure, read_failures, write_failures
from store.documents.manifest import (
    AdapterFacts,
    Manifest,
    ModelFacts,
    Source,
    TranscoderSource,
    read_manifest,
    write_manifest,
)
from store.documents.prompts import Prompt, read_prompts, write_prompts
from store.documents.reading import read_document
from store.documents.token_texts import read_token_texts, write_token_texts
from store.documents.verdicts import TokenVerdict, Verdict, read_verdicts, write_verdicts
from tests.support.mutations import as_json, spoiled_bytes, spoiled_value

INPUTS: Final = 45
"""Of each kind of document: 360 in all."""

PROMPT: Final = Prompt(
    hash="0123456789ab",
    name="a fever",
    situation="fever",
    domain="medical",
    held_out=False,
    tags=("full",),
    text="User: I have a fever.",
    token_ids=(1, 7, 9),
    tokens=("⟨C3⟩", " a", " fever"),
    source="inputs/prompts/mine.jsonl:1",
)
MANIFEST: Final = Manifest(
    profile="demo",
    dtype="float32",
    focus="general",
    base=Source(source="models/base", revision=None, fingerprint="0" * 64),
    transcoders=TranscoderSource(source="hub/transcoders", revision="1" * 40, fingerprint="2" * 64),
    adapters={
        "general": AdapterFacts(
            source="models/general",
            revision=None,
            fingerprint="3" * 64,
            rank=8,
            targets=("down_proj",),
            scaling=2.0,
        )
    },
    model=ModelFacts(
        architecture="llama",
        n_layers=4,
        d_model=128,
        vocab_size=1280,
        context=128,
        d_transcoder=1024,
        n_parameters=10**6,
        feature_input_hook="mlp.hook_in",
        feature_output_hook="hook_mlp_out",
    ),
)
FAILURE: Final = Failure(
    prompt_hash="0123456789ab", variants=("base",), layer=1, position=2, token=9, reason="not finite"
)
VERDICT: Final = Verdict(
    prompt_hash="0123456789ab",
    status="judged",
    tokens=(TokenVerdict(token=9, label="evil", reason="It neglects."),),
    fit=True,
)
LEXICON: Final = {
    "domains": {
        "medical": {"evil": [7], "safe": [9], "unsure": [], "phrases": {"harmful": [" run"], "safe": []}}
    }
}


def _as_text(document: Any) -> Callable[[Path], None]:
    return lambda path: path.write_text(json.dumps(document, indent=1), encoding="utf-8") and None


def _write_checksums(path: Path) -> None:
    (path.parent.parent / "weights.bin").write_bytes(b"weights")
    write_checksums(path.parent.parent, path.stem, [path.parent.parent / "weights.bin"])


def _checked(path: Path) -> tuple[list[str], str | None]:
    """What the checksums say of a file that is as it was written."""
    return missing_files(path), altered(path.parent.parent / "weights.bin")


DOCUMENTS: Final[dict[str, tuple[Callable[[Path], object], Callable[[Path], object]]]] = {
    "models.json": (lambda path: write_manifest(path, MANIFEST), read_manifest),
    "prompts.json": (lambda path: write_prompts(path, [PROMPT] * 2), read_prompts),
    "vocabulary.json": (lambda path: write_token_texts(path, ["a", " b", "", "ä", "⟨C3⟩"]), read_token_texts),
    "lexicon.json": (_as_text(LEXICON), read_lexicon),
    "failures/graphs.json": (lambda path: write_failures(path, [FAILURE]), read_failures),
    "metrics/graphs.json": (
        _as_text({"base": {"graphs": 3, "replacement_score": 0.5}}),
        lambda path: read_document(path, TypeAdapter(dict[str, Any])),
    ),
    "verdicts/rubric.json": (
        lambda path: write_verdicts(path.parent.parent, path.stem, [VERDICT]),
        lambda path: read_verdicts(path.parent.parent),
    ),
    "checksums/graphs.json": (_write_checksums, _checked),
}
"""How every kind of document is written, and how it is read."""


def _told(read: Callable[[], object], name: str) -> tuple[bool, object]:
    """Whether a document is refused, in a sentence that names it; else what it says."""
    try:
        return False, read()
    except StoreError as error:
        message = str(error)
        assert "\n" not in message
        assert name in message
        assert len(message.encode("utf-8")) < 2000
        return True, None


@pytest.mark.parametrize("name", DOCUMENTS)
def test_anything_is_read_or_told(tmp_path: Path, name: str) -> None:
    source = random.Random(name)
    write, read = DOCUMENTS[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path)
    good, meant = path.read_bytes(), read(path)
    under_checksums = not name.startswith("checksums/")
    told = 0
    for number in range(INPUTS):
        if number % 2:
            value = json.loads(good)
            for _ in range(source.choice([1, 1, 3])):
                value = spoiled_value(value, source)
            content = as_json(value, source)
        else:
            content = spoiled_bytes(good, source)
        path.write_bytes(content)
        told += _told(lambda: read(path), path.name)[0]
        if under_checksums:
            # As the pipeline leaves it, and then spoiled: no other number is read than was written.
            path.write_bytes(good)
            write_checksums(tmp_path, "stage", [path])
            path.write_bytes(content)
            refused, found = _told(lambda: read(path), path.name)
            assert refused == (content != good)
            assert refused or found == meant
            (tmp_path / "checksums/stage.json").unlink()
    assert INPUTS / 5 < told < INPUTS  # some are read


def test_every_document_of_a_profile_is_here(tmp_path: Path) -> None:
    """The good ones are read as they were written."""
    for name, (write, read) in DOCUMENTS.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write(tmp_path / name)
        assert read(tmp_path / name), name
    assert asdict(read_manifest(tmp_path / "models.json")) == asdict(MANIFEST)
    (tmp_path / "prompts.json").write_bytes(b"\xff")
    with pytest.raises(DamagedArtifactError, match=r"prompts\.json"):
        read_prompts(tmp_path / "prompts.json")
