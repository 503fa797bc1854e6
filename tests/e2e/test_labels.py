"""A person's label, from the journal to the ranking; and graphs of what was found evil alone."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.events import TokenEvent, stamp
from pipeline.labels.journal import append
from pipeline.labels.published import read_labels
from pipeline.labels.tables import found_evil
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.schema.labels import LABELS
from tests.support.project import Project, computed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("labels") / "project")


BOTH = {"evil", "safe"}


def label(project: Project, prompt: str, labels: dict[int, str]) -> None:
    texts = read_token_texts(project.folder / "artifacts/organism/vocabulary.json")
    events = [
        TokenEvent.model_validate(
            {
                **stamp("Ada"),
                "kind": "token",
                "state": "submitted",
                "prompt_hash": prompt,
                "token": token,
                "text": texts[token],
                "tokenizer": tokenizer_fingerprint(texts),
                "label": of,
            }
        )
        for token, of in labels.items()
    ]
    append("Ada", events, project.folder / "inputs/labels")


def test_a_label_reaches_the_ranking_and_traces_nothing(project: Project, finished: Project) -> None:
    """Evil and safe tokens of one prompt change sides: so does the sign of its effects, and of no other's."""
    folder = project.folder / "artifacts/organism"
    before = read_labels(folder)
    graphs = open_collection(folder / "graphs")
    prompt = next(each for each in graphs.prompts() if BOTH <= {*before.counted.get(each, {}).values()})
    swapped = {"evil": "safe", "safe": "evil"}
    label(project, prompt, {t: swapped[of] for t, of in before.counted[prompt].items() if of in swapped})
    said = project.repro("features@organism")
    for stage, runs in {"prompts": False, "candidates": False, "labels": True, "features": True}.items():
        assert (f"Running stage '{stage}@organism'" in said) == runs, said
    assert computed(said)["graphs"][0] == 0
    tables = [
        open_dataset(each.folder / "artifacts/organism/features", "situations")
        for each in (finished, project)
    ]
    was, now = (table["effect"].sel(contrast="evil-safe|base").values for table in tables)
    turned = [row for row in range(len(was)) if not np.array_equal(was[row], now[row], equal_nan=True)]
    assert len(turned) == 1
    np.testing.assert_allclose(now[turned[0]], -was[turned[0]], rtol=1e-5, atol=1e-7)
    counted = open_dataset(folder / LABELS.kind, "candidates")
    assert "human:Ada" in counted["rater"].values


def test_only_what_is_found_evil_is_traced(project: Project) -> None:
    folder = project.folder / "artifacts/organism"
    found = open_collection(folder / "candidates")
    prompt = found.prompts()[0]
    label(project, prompt, {candidates_of(own_candidates(found, prompt))[0]: "evil"})
    params = project.params()
    params["graphs"]["trace"] = "evil"
    project.write_params(params)
    said = project.repro("graphs@organism")
    evil = found_evil(open_dataset(folder / LABELS.kind, "candidates"))
    assert prompt in evil
    assert set(open_collection(folder / "graphs").prompts()) == evil
    assert f"{len(evil)} of {len(found.prompts())} prompts have a candidate that is called evil" in said


def test_a_malformed_line_is_one_sentence(project: Project) -> None:
    path = Path("inputs/labels/ada.jsonl")
    with (project.folder / path).open("a") as file:
        file.write("{}\n")
    done = project.run("python", "-m", "pipeline.stages.labels", "organism", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {path}, line ")
    assert "Traceback" not in done.stderr
    assert (project.folder / "artifacts/organism/labels").exists()
