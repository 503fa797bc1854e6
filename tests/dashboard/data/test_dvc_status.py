"""`dvc status` in the background: never waited for, every answer understood."""

import json
import os
import time
from pathlib import Path

import networkx as nx
import pandas as pd
import pytest

from dashboard.data import dvc_status, lineage, tables
from dashboard.data.dvc_answer import Status
from dashboard.shell import downloads


def test_watcher_never_waits_and_asks_again_only_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    counted, go = tmp_path / "counted", tmp_path / "go"
    program = tmp_path / "python"
    wait = f"while [ ! -e {go} ]; do sleep 0.02; done"
    program.write_text(f"#!/bin/sh\n{wait}\necho x >> {counted}\necho '{{}}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(dvc_status.sys, "executable", str(program))
    watcher = dvc_status.Watcher(tmp_path)

    def answered() -> Status:
        deadline = time.monotonic() + 20
        while watcher.ask().state == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
        return watcher.ask()

    # DVC answers only when it is told to: an `ask` that waited would not return.
    assert watcher.ask().state == watcher.ask().state == "running"
    go.touch()
    assert answered().state == "fresh"
    assert watcher.ask().state == "fresh"
    assert counted.read_text().count("x") == 1
    os.utime(tmp_path / "dvc.yaml", ns=(1, 1))
    assert watcher.ask().state == "running"
    assert answered().state == "fresh"
    assert counted.read_text().count("x") == 2


def test_watcher_asks_further_where_the_cache_lacks_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    lacks = json.dumps({"a": [{"changed outs": {"x": "not in cache", "y": "not in cache"}}]})
    program = tmp_path / "python"
    program.write_text(
        f"""#!/bin/sh
case "$3" in
  status) echo '{lacks}' ;;
  data) echo '{{"not_in_cache": ["x", "y/"], "uncommitted": {{"deleted": ["y/"]}}}}' ;;
esac
"""
    )
    program.chmod(0o755)
    monkeypatch.setattr(dvc_status.sys, "executable", str(program))
    watcher = dvc_status.Watcher(tmp_path)
    deadline = time.monotonic() + 20
    while watcher.ask().state == "running" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert watcher.ask().stages == {"a": ["changed outs: deleted y"]}


def test_never_asks_while_dvc_is_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}")
    lock = tmp_path / ".dvc" / "tmp" / "rwlock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"/p/x": {"write": {"pid": os.getpid(), "cmd": "dvc repro"}}}))
    monkeypatch.setattr(dvc_status.subprocess, "Popen", lambda *_, **__: pytest.fail("asked"))
    assert dvc_status.Watcher(tmp_path).ask().state == "busy"
    gone = {"pid": 2**22 + 1, "cmd": "dvc repro"}
    lock.write_text(json.dumps({"/p/x": {"read": [gone]}}))
    assert not dvc_status.in_progress(tmp_path)
    lock.write_text("")
    assert not dvc_status.in_progress(tmp_path)


def test_without_a_pipeline(tmp_path: Path) -> None:
    assert dvc_status.Watcher(tmp_path).ask().state == "absent"


LOCK = """
schema: '2.0'
stages:
  models@organism:
    cmd: python -m pipeline.stages.models organism
    deps:
    - path: artifacts/organism/subject
    outs:
    - path: artifacts/organism/models.json
  graphs@organism:
    cmd: python -m pipeline.stages.graphs organism
    deps:
    - path: artifacts/organism/models.json
    - path: artifacts/organism/code/graphs.txt
    outs:
    - path: artifacts/organism/graphs
  code@organism:
    cmd: python -m pipeline.stages.code organism
    deps:
    - path: pipeline
    outs:
    - path: artifacts/organism/code
"""


YAML = """
stages:
  graphs:
    foreach: ${profiles}
    do: {cmd: x, outs: ['artifacts/${key}/graphs']}
  rates:
    foreach: ${profiles}
    do:
      cmd: python -m pipeline.stages.evaluate ${key}
      deps: ['artifacts/${key}/graphs']
      outs: ['artifacts/${key}/rates', 'artifacts/${key}/other': {cache: false}]
  verify: {cmd: y, outs: [z]}
"""


def test_lineage(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(YAML)
    (tmp_path / "dvc.lock").write_text(LOCK)
    stages = lineage.read_stages(tmp_path, "organism")
    names = ["models@organism", "graphs@organism", "code@organism", "rates@organism", "verify"]
    assert [stage.name for stage in stages] == names
    assert lineage.links(stages) == [
        ("models@organism", "graphs@organism"),
        ("graphs@organism", "rates@organism"),
    ]
    drawn = lineage.dot(stages, {"graphs@organism"}, profile="organism")
    assert '"models@organism" -> "graphs@organism"' in drawn
    assert drawn.count("dashed") == 3
    assert "code" not in drawn, "it stands before all of them"
    frame = lineage.frame(stages, {"graphs@organism"})
    assert frame["state"].to_list() == ["ran", "stale", "ran", "not run", "not run"]
    looked_at = lineage.frame(stages, {"code@organism"})["state"].to_list()
    assert looked_at == ["code changed", "code changed", "stale", "not run", "not run"]
    assert not lineage.is_code("models/mine/code"), "somebody's weights"
    assert frame["code"].to_list() == ["", "artifacts/organism/code/graphs.txt", "", "", ""]


MATRIX = """
stages:
  words: {foreach: '${profiles}', do: {cmd: x, outs: ['artifacts/${key}/words']}}
  baseline:
    matrix: {profile: '${profiles}', behaviour: [recall, sums]}
    cmd: y ${key}
    deps: ['artifacts/${item.profile}/words/${item.behaviour}.txt']
    outs: ['artifacts/${item.profile}/baseline/${item.behaviour}']
  circuits:
    matrix: {profile: '${profiles}'}
    cmd: z ${key}
    deps: ['artifacts/${key}/baseline']
    outs: ['artifacts/${key}/circuits']
"""
RAN = """
stages:
  baseline@mine-recall:
    cmd: y mine-recall
    outs:
    - path: artifacts/mine/baseline/recall
  baseline@mine-2-recall:
    cmd: y mine-2-recall
    outs:
    - path: artifacts/mine-2/baseline/recall
"""


def test_a_stage_of_each_behaviour_is_drawn_once(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text(MATRIX)
    (tmp_path / "dvc.lock").write_text(RAN)
    stages = lineage.read_stages(tmp_path, "mine")
    assert {stage.name: stage.ran for stage in stages} == {
        "baseline@mine-recall": True,
        "baseline@mine-2-recall": True,
        "words@mine": False,
        "baseline@mine-sums": False,
        "circuits@mine": False,
    }
    (sums,) = [stage for stage in stages if stage.name == "baseline@mine-sums"]
    assert (sums.command, sums.outs) == ("y mine-sums", ("artifacts/mine/baseline/sums",))
    (circuits,) = [stage for stage in stages if stage.name == "circuits@mine"]
    assert (circuits.command, circuits.outs) == ("z mine", ("artifacts/mine/circuits",))
    drawn = lineage.dot(stages, set(), profile="mine")
    assert drawn.count('label="baseline" style="rounded,dashed"') == 1, "one of them has not run"
    assert drawn.count("label=") == 3, "of another profile there is none"
    assert '"words@mine" -> "baseline@mine-recall";' in drawn
    assert '"baseline@mine-recall" -> "circuits@mine";' in drawn
    (tmp_path / "dvc.lock").write_text(RAN + RAN[9:].replace("recall", "sums"))
    drawn = lineage.dot(lineage.read_stages(tmp_path, "mine"), {"baseline@mine-sums"}, profile="mine")
    assert 'label="baseline" style="rounded,dashed"' in drawn, "one of them is stale"


def test_links_that_follow_from_others_are_not_drawn() -> None:
    graph = nx.gnp_random_graph(12, 0.4, seed=0, directed=True)
    pairs = [(str(a), str(b)) for a, b in graph.edges if a < b]
    reduced = nx.transitive_reduction(nx.DiGraph(pairs))
    assert sorted(lineage.drawn_links(pairs)) == sorted(reduced.edges)
    assert len(reduced.edges) < len(pairs)


def test_downloads_keep_full_precision_and_lists() -> None:
    frame = pd.DataFrame({"a": [0.1234567890123], "b": [[1.5, 2.5]], "c": ["é,\n"]})
    back = pd.read_csv(__import__("io").BytesIO(downloads.csv_bytes(frame)))
    assert back["a"][0] == frame["a"][0]
    assert json.loads(back["b"][0]) == [1.5, 2.5]
    assert back["c"][0] == "é,\n"
    again = pd.read_parquet(__import__("io").BytesIO(downloads.parquet_bytes(frame)))
    assert list(again["b"][0]) == [1.5, 2.5]


def test_checks_and_targets() -> None:
    report = {"dtype": "float32", "variants": {"base": {"parity": {"max_difference": 1e-6}}}}
    frame = tables.checks_frame(report)
    assert frame["check"].to_list() == ["dtype", "variants.base.parity.max_difference"]
    assert frame["detail"].to_list() == ["float32", "1.00e-06"]
    many = [f"model.layers.{i}.mlp.up_proj" for i in range(4)]
    assert tables.targets_words(many) == "up_proj in layers 0 to 3"
    assert tables.targets_words([]) == "no adapted modules listed"
