"""A person's label, from the journal to the ranking; and graphs of what was found evil alone."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.analysis.scores import feature_key
from pipeline.labels.candidates import candidates_of, own_candidates
from pipeline.labels.events import TokenEvent, stamp
from pipeline.labels.journal import append
from pipeline.labels.published import read_labels
from pipeline.labels.tables import found_evil
from store.collections.reader import open_collection
from store.datasets.groups import open_dataset
from store.documents.prompts import read_prompts
from store.documents.token_texts import read_token_texts, tokenizer_fingerprint
from store.schema.labels import LABELS
from tests.support.project import Project, computed

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def project(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return finished.copy(tmp_path_factory.mktemp("labels") / "project")


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


def test_a_label_reaches_the_ranking_and_traces_nothing(project: Project) -> None:
    """A prompt on which nobody knew an evil and a safe token has effects now: those of the two labels."""
    folder = project.folder / "artifacts/organism"
    graphs, known = open_collection(folder / "graphs"), read_labels(folder)
    prompt = next(each for each in graphs.prompts() if "evil" not in known.counted.get(each, {}).values())
    graph = graphs.item(prompt, "base").arrays
    evil, safe = graph["target_token"][:2].tolist()
    label(
        project,
        prompt,
        {evil: "evil", safe: "safe"} | {token: "unsure" for token in graph["target_token"][2:].tolist()},
    )
    said = project.repro("features@organism")
    for stage, runs in {"prompts": False, "candidates": False, "labels": True, "features": True}.items():
        assert (f"Running stage '{stage}@organism'" in said) == runs, said
    assert computed(said)["graphs"][0] == 0
    situations = open_dataset(folder / "features", "situations").sel(contrast="evil-safe|base")
    asked = {each.hash: each.situation for each in read_prompts(folder / "prompts.json")}[prompt]
    found = situations["effect"].values[situations["situation"].values.tolist().index(asked)]
    direct = graph["direct"][0].astype(np.float64) - graph["direct"][1]
    nodes = feature_key(graph["active_layer"], graph["active_feature"])
    for key, effect in zip(
        feature_key(situations["layer"].values, situations["index"].values), found, strict=True
    ):
        assert effect == pytest.approx(direct[nodes == key].sum(), rel=1e-5, abs=1e-7)
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
    assert f"{len(evil)} of {len(found.prompts())} prompts have a token that is called evil" in said


def test_a_malformed_line_is_one_sentence(project: Project) -> None:
    path = Path("inputs/labels/ada.jsonl")
    with (project.folder / path).open("a") as file:
        file.write("{}\n")
    done = project.run("python", "-m", "pipeline.stages.labels", "organism", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {path}, line ")
    assert "Traceback" not in done.stderr
    assert (project.folder / "artifacts/organism/labels").exists()
