"""``.pt`` files as `torch.save` writes them: of a project's graphs, small ones, and ill-willed ones."""

import io
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget
from circuit_tracer.graph import Graph
from circuit_tracer.utils.tl_nnsight_mapping import UnifiedConfig

from pipeline.exchange.__main__ import main
from tests.support.exchange_project import PROFILE, Project

Content = dict[str, Any]


class Malicious:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def content_of(project: Project) -> Content:
    """What a sound file of the base's graph holds; tensors are copies."""
    graph = project.graph("base")
    content = {name: value for name, value in vars(graph).items() if name != "n_pos"}
    content["cfg"] = UnifiedConfig(**vars(graph.cfg))
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else value for name, value in content.items()
    }


def bytes_of(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def refused(project: Project, content: bytes, capsys: pytest.CaptureFixture[str]) -> str:
    """Import a file through the command, which must refuse it; returns its one sentence."""
    path = project.root / "theirs.pt"
    path.write_bytes(content)
    assert main(["import", str(path), "--profile", PROFILE]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert said.err.count("\n") == 1
    assert not (project.root / "artifacts" / PROFILE / "imported").exists()
    return said.err


def small_graph(**entries: Any) -> Graph:
    """Two features, layers and positions, one logit; `entries` take the place of its own."""
    adjacency = torch.zeros(9, 9)
    adjacency[1, 0], adjacency[-1, :8] = 0.5, 1.0
    config = UnifiedConfig(
        n_layers=2,
        d_model=8,
        d_head=4,
        n_heads=2,
        d_mlp=16,
        d_vocab=100,
        tokenizer_name="words",
        model_name="small",
        original_architecture="LlamaForCausalLM",
        n_key_value_heads=1,
        dtype=torch.float32,
    )
    content: Content = {
        "input_string": "h\u00e9llo there",
        "input_tokens": torch.tensor([1, 2]),
        # As circuit-tracer makes it: the transposed indices of a sparse tensor.
        "active_features": torch.tensor([[0, 1], [0, 1], [3, 5]]).T,
        "adjacency_matrix": adjacency,
        "cfg": config,
        "selected_features": torch.tensor([0, 1]),
        "activation_values": torch.tensor([0.25, 2.0]),
        "logit_targets": [LogitTarget(token_str=" you", vocab_idx=7)],
        "logit_probabilities": torch.tensor([0.75]),
        "scan": "some/set",
        "vocab_size": 100,
    }
    return Graph(**{**content, **entries})


def written(graph: Graph) -> bytes:
    """The file that circuit-tracer writes of a graph."""
    file = io.BytesIO()
    graph.to_pt(file)  # type: ignore[arg-type]  # it hands it on to torch, which takes both
    return file.getvalue()


@contextmanager
def bounded_memory(room: int = 2**30) -> Iterator[None]:
    """Let this process have so many bytes more than it has: asking for others is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
