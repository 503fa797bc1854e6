"""Stages whose items lie in a slow, often busy bucket: computed once, the same bytes in every clone."""

from itertools import count
from pathlib import Path

import pytest

from pipeline.items.cache import VARIABLE
from pipeline.params.project import load_params
from pipeline.run.stage import CACHE
from pipeline.stages import activations, candidates
from store.documents.manifest import Manifest, write_manifest
from store.documents.prompts import write_prompts
from tests.support import demo
from tests.support.object_store import BUCKET, ObjectStore
from tests.support.places import ROOT
from tests.support.project import computed

FOLDER = Path("artifacts/mine")


def test_what_one_clone_computed_another_takes_from_the_bucket(
    tmp_path: Path,
    objects: ObjectStore,
    manifest: Manifest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = load_params(ROOT / "params.yaml")
    params = whole.model_copy(update={"runtime": whole.runtime.model_copy(update={"threads": 1})})

    def clone(name: str, place: str) -> tuple[int, dict[str, bytes]]:
        """Run the stages in a folder of its own: how much was computed, and what was published."""
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv(VARIABLE, place)
        write_manifest(FOLDER / "models.json", manifest)
        write_prompts(FOLDER / "prompts.json", demo.make_prompts()[:2])
        capsys.readouterr()
        for stage in (candidates, activations):
            stage.main("mine", params)
        new = sum(made for made, _ in computed(capsys.readouterr().out).values())
        return new, {str(path): path.read_bytes() for path in FOLDER.rglob("*") if path.is_file()}

    requests = count(1)
    statuses = {5: 503, 11: 500}
    objects.latency = 0.02
    objects.before = lambda method, path: statuses.get(next(requests) % 13)
    place = f"s3://{BUCKET}/{tmp_path.name}/items"
    first, one = clone("one", place)
    assert first > 0
    assert not list(CACHE.rglob("*.safetensors")), "items lie in the bucket"
    puts = objects.methods("/items/").count("PUT")
    second, other = clone("other", place)
    assert second == 0
    assert objects.methods("/items/").count("PUT") == puts
    alone, local = clone("alone", "")
    assert alone == first
    assert one == other == local
