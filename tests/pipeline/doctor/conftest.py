"""A project with one profile, whose models are small and right."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.doctor.subject_checks import ordinary_ids
from tests.support.builders import Checkpoint, make_checkpoint
from tests.support.hooked import plant
from tests.support.hub_server import HubServer, asked_by, hub_server
from tests.support.places import ROOT

WIDTH = 64


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Wide enough for transcoders that are good on the doctor's own text."""
    checkpoint = make_checkpoint(tmp_path_factory.mktemp("sound") / "subject", d_model=WIDTH)
    plant(checkpoint, "mlp.hook_in", "mlp.hook_out", ordinary_ids(checkpoint.manifest()), rtol=0.05)
    return checkpoint


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes ``params.yaml`` with the profile ``mine`` here, of a checkpoint, with some keys changed."""
    monkeypatch.chdir(tmp_path)

    def write(checkpoint: Checkpoint, **changes: Any) -> None:
        params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
        profile = {
            "model": str(checkpoint.base),
            "transcoders": str(checkpoint.transcoders),
            "adapters": {name: str(checkpoint.adapter(name)) for name in ("general", "narrow")},
            "aliases": [str(checkpoint.declared or checkpoint.base)],
            "focus": "general",
            "prompts": ["inputs/prompts"],
            "local": "models",
        }
        params["profiles"] = {"mine": profile | changes}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")

    return write


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with hub_server() as server, asked_by(monkeypatch, server, tmp_path / "cache"):
        yield server
