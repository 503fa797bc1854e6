"""A small project whose profile `mine` names behaviours, for tests of their stages."""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest
import yaml
from transformers import AutoTokenizer

from pipeline.behaviours.registry import BEHAVIOURS
from pipeline.params.project import Params, load_params
from store.documents.manifest import Manifest, write_manifest
from tests.support.behaviours import WORDS, write_words
from tests.support.builders import make_checkpoint
from tests.support.places import ROOT

FOLDER: Final = Path("artifacts/mine")
NAMES: Final = ("addition", "agreement")


def make_project(folder: Path, monkeypatch: pytest.MonkeyPatch, manifest: Manifest) -> None:
    """Go to an empty folder, and give it a subject and words of every behaviour."""
    monkeypatch.chdir(folder)
    write_manifest(FOLDER / "models.json", manifest)
    for name in WORDS:
        write_words(Path("words"), name)


def make_params(*names: str, train: int, test: int, **sections: Mapping[str, Any]) -> Params:
    """The project's parameters, with few prompts of some behaviours; sections are changed as they say."""
    given = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    profile = given["profiles"]["organism"] | {"behaviours": {name: f"words/{name}.yaml" for name in names}}
    given["profiles"] = {"mine": profile}
    given["runtime"]["threads"] = 1
    given["behaviours"] |= {"train": train, "test": test}
    for section, changes in sections.items():
        given[section] |= changes
    Path("params.yaml").write_text(yaml.safe_dump(given), encoding="utf-8")
    return load_params()


def run_each(stage: ModuleType, params: Params) -> None:
    """Run a stage of profile `mine` for every behaviour that there is, as DVC's matrix does."""
    for name in BEHAVIOURS:
        stage.main("mine", name, params)


def make_qwen(folder: Path) -> Manifest:
    """A random model of Qwen3's shape, whose tokenizer has no BOS."""
    made = make_checkpoint(folder, architecture="qwen3", n_layers=2)
    tokenizer = AutoTokenizer.from_pretrained(made.base)
    tokenizer.bos_token, tokenizer.backend_tokenizer.post_processor = None, None
    tokenizer.save_pretrained(made.base)
    return made.manifest()
