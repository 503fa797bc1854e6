"""The demo profile as a project: linked, with a model to steer, with parameters of its own."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from store.datasets.groups import open_dataset, read_provenance, write_dataset
from store.schema.features import FEATURES
from tests.support.demo.tables import acting
from tests.support.feature_builders import PARAMS
from tests.support.label_events import write_lexicon_alone
from tests.support.places import ROOT


def linked(source: Path, root: Path) -> None:
    """Give `root` the artifacts of the project `source`, each a link: far less than a copy.

    An artifact may be taken away by removing its link; what is to be changed needs `own` first.
    """
    for path in source.glob("artifacts/*/*"):
        link = root / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)


def own(root: Path, artifact: str, profile: str = "demo") -> Path:
    """Put a copy, free to change, in the place of an artifact's link."""
    link = root / "artifacts" / profile / artifact
    source = link.resolve()
    link.unlink()
    if source.is_dir():
        shutil.copytree(source, link)
    else:
        shutil.copyfile(source, link)
    return link


def features_made_with(root: Path, profile: str = "demo", *, situations: int = 0, **changes: Any) -> None:
    """Let a project's features say what they were made with, as the stage writes it.

    `situations` is in how many of them acting harms nobody.
    """
    folder = root / "artifacts" / profile / "features"
    groups = {name: open_dataset(folder, name).load() for name in FEATURES.groups}
    groups["acting"] = acting(groups["ranking"], situations)
    few = PARAMS.model_copy(update={"permutations": 100, "labellings": 100, "bootstrap": 50} | changes)
    made = {"features": few.model_dump(), "runtime": {"seed": 0, "threads": 1}, "profile": {"nulls": []}}
    origin = read_provenance(folder) | {"parameters": made}
    own(root, "features", profile)
    write_dataset(folder, FEATURES, groups, provenance=origin)


def without_labels(root: Path, profile: str = "demo") -> None:
    """Let nobody know of any token what it is."""
    own(root, "lexicon.json", profile).write_text('{"domains": {}}', encoding="utf-8")
    shutil.rmtree(own(root, "labels", profile))
    write_lexicon_alone(root / "artifacts" / profile)


def add_subject(root: Path, profile: str = "demo") -> None:
    """Give a demo profile a small random model, so that steering has something to run."""
    from store.documents.manifest import write_manifest
    from tests.support.builders import make_checkpoint

    folder = root / "artifacts" / profile
    checkpoint = make_checkpoint(folder / "subject")
    write_manifest(folder / "models.json", checkpoint.manifest())


def give_parameters(root: Path) -> None:
    """The project's parameters, with the demo as a profile and a folder of prompts of its own."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    profile = content["profiles"].pop("organism")
    names = ("general", "narrow")
    adapters = {name: f"artifacts/demo/subject/adapters/{name}" for name in names}
    content["profiles"]["demo"] = {**profile, "adapters": adapters, "nulls": [], "prompts": ["prompts"]}
    (root / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (root / "prompts").mkdir()
