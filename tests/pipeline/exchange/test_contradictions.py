"""Graphs that contradict themselves are refused in one sentence that says where."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from circuit_tracer.attribution.targets import LogitTarget

from tests.support.exchange_project import Project
from tests.support.pt_files import Content, bytes_of, content_of, refused


def change(name: str, make: Callable[[Any], Any]) -> Callable[[Content], None]:
    """Put something else in the place of an entry."""

    def apply(content: Content) -> None:
        content[name] = make(content[name])

    return apply


def set_at(name: str, where: Any, value: Any) -> Callable[[Content], None]:
    """Put a value into a tensor."""

    def apply(content: Content) -> None:
        content[name][where] = value

    return apply


def sizes(content: Content) -> tuple[int, int, int, int]:
    """Features, layers, positions, logits."""
    return (
        len(content["selected_features"]),
        content["cfg"].n_layers,
        len(content["input_tokens"]),
        len(content["logit_targets"]),
    )


def edge(target: str, source: str) -> Callable[[Content], None]:
    """An edge between two kinds of nodes."""

    def apply(content: Content) -> None:
        features, layers, positions, _ = sizes(content)
        layer = content["active_features"][content["selected_features"], 0]
        nodes = {
            "low": int((layer == 0).nonzero()[0]),
            "low too": int((layer == 0).nonzero()[1]),
            "high": int((layer == layers - 1).nonzero()[0]),
            "error": features + (layers - 1) * positions,
            "token": features + layers * positions,
            "logit": -1,
        }
        content["adjacency_matrix"][nodes[target], nodes[source]] = 1.0

    return apply


def configured(**values: Any) -> Callable[[Content], None]:
    """Other entries of the model's configuration."""

    def apply(content: Content) -> None:
        for name, value in values.items():
            setattr(content["cfg"], name, value)

    return apply


def without(name: str) -> Callable[[Content], None]:
    """An entry missing."""

    def apply(content: Content) -> None:
        del content[name]

    return apply


def more(content: Content) -> None:
    """An entry that nobody knows."""
    content["notes"] = "mine"


def escaping(content: Content) -> None:
    """An entry whose name would write over a terminal's lines."""
    content["a\n\x1b[2Kb"] = "mine"


CONTRADICTIONS: dict[str, tuple[Callable[[Content], None], str]] = {
    "no scan": (without("scan"), "it has no scan"),
    "an unknown entry": (more, "notes, which circuit-tracer 0.5.0 does not write"),
    "an entry with a line break": (escaping, r"'a\\n\\x1b\[2Kb', which circuit-tracer 0.5.0 does not"),
    "a list": (change("input_tokens", torch.Tensor.tolist), "input_tokens is no tensor"),
    "fractions": (change("activation_values", torch.Tensor.tolist), "the instruction BINFLOAT"),
    "a huge tensor of one number": (
        change("adjacency_matrix", lambda _: torch.zeros(1).expand(10**6, 10**6)),
        "claims more numbers than there are",
    ),
    "a sparse tensor": (
        change("adjacency_matrix", torch.Tensor.to_sparse),
        "torch._utils._rebuild_sparse_tensor",
    ),
    "a tensor without data": (
        change("adjacency_matrix", lambda tensor: tensor.to("meta")),
        "torch._utils._rebuild_meta_tensor_no_storage",
    ),
    "a parameter": (change("activation_values", torch.nn.Parameter), "torch._utils._rebuild_parameter"),
    "a tensor that negates": (
        change("logit_probabilities", torch._neg_view),
        "the instruction SETITEM",
    ),
    "float64": (change("adjacency_matrix", torch.Tensor.double), "`torch.DoubleStorage`"),
    "bfloat16": (
        change("adjacency_matrix", torch.Tensor.bfloat16),
        "is bfloat16 with 2 dims, not float32",
    ),
    "int32": (change("input_tokens", torch.Tensor.int), "`torch.IntStorage`"),
    "dims": (change("input_tokens", lambda tensor: tensor[None]), "is int64 with 2 dims, not int64 with 1"),
    "text": (change("input_string", lambda _: 5), "input_string is no text"),
    "a fraction of a token": (change("vocab_size", float), "the instruction BINFLOAT"),
    "True tokens": (change("vocab_size", bool), "vocab_size is no number of tokens"),
    "fewer than no tokens": (change("vocab_size", lambda _: -5), "vocab_size is no number of tokens"),
    "no tokens": (change("vocab_size", lambda _: 0), "vocab_size is no number of tokens"),
    "2^31 tokens": (change("vocab_size", lambda _: 2**31), "vocab_size is no number of tokens"),
    "10^400 tokens": (change("vocab_size", lambda _: 10**400), "a number of more than 64 bits"),
    "10^4000 tokens": (change("vocab_size", lambda _: 10**4000), "the instruction LONG4"),
    "half a character in a target": (
        change("logit_targets", lambda targets: [LogitTarget("\ud83d", 1), *targets[1:]]),
        "logit_targets are not texts",
    ),
    "half a character in scan": (change("scan", lambda _: ["a", "\ud83d"]), "scan is no name"),
    "half a character in a name": (configured(model_name="\udc80"), "a name that is no text"),
    "half a character in the dtype": (configured(dtype="\udc80"), "a name that is no text"),
    "a name with a line break": (change("scan", lambda _: {"a\nb": 1}), "the instruction SETITEM"),
    "no heads": (configured(n_key_value_heads=0), "cfg has a size"),
    "a token beyond 64 bits": (
        change("logit_targets", lambda targets: [LogitTarget("a", 2**64), *targets[1:]]),
        "a number of more than 64 bits",
    ),
    "scan": (change("scan", lambda _: [1]), "scan is no name"),
    "targets": (change("logit_targets", lambda _: ["a"]), "logit_targets are not texts"),
    "a dict for cfg": (change("cfg", vars), "cfg is no model configuration"),
    "an entry more in cfg": (configured(extra=1), "cfg is no model configuration"),
    "negative layers": (configured(n_layers=-1), "cfg has a size"),
    "layers as text": (configured(n_layers="3"), "cfg has a size"),
    "another number of layers": (configured(n_layers=2), "but 60 features, 2 layers"),
    "adjacency not square": (change("adjacency_matrix", lambda tensor: tensor[1:]), "make "),
    "a probability less": (change("logit_probabilities", lambda tensor: tensor[1:]), "probabilities"),
    "an activation less": (change("activation_values", lambda tensor: tensor[1:]), "activations"),
    "no target": (change("logit_targets", lambda _: []), "no logit"),
    "two columns": (
        change("active_features", lambda tensor: tensor[:, :2]),
        "not layer, position and feature",
    ),
    "a layer too high": (set_at("active_features", (0, 0), 99), "a layer or at a position"),
    "a position too high": (set_at("active_features", (0, 1), 99), "a layer or at a position"),
    "a negative feature": (set_at("active_features", (0, 2), -1), "a layer or at a position"),
    "a feature twice": (
        change("active_features", lambda tensor: torch.cat([tensor[:1], tensor[:-1]])),
        "listed twice",
    ),
    "selected beyond": (set_at("selected_features", -1, 10**6), "in ascending order"),
    "selected out of order": (change("selected_features", lambda t: t.flip(0)), "in ascending order"),
    "selected twice": (
        change("selected_features", lambda tensor: torch.cat([tensor[:1], tensor[:-1]])),
        "in ascending order",
    ),
    "a negative token": (set_at("input_tokens", 0, -1), "token id is negative"),
    "NaN activation": (set_at("activation_values", 0, torch.nan), "an activation is NaN"),
    "zero activation": (set_at("activation_values", 0, 0.0), "or 0, which is not active"),
    "negative probability": (set_at("logit_probabilities", 0, -0.1), "a probability is negative"),
    "NaN edge": (set_at("adjacency_matrix", (-1, 0), torch.nan), r"to the logit of token \d+ is NaN"),
    "infinite edge": (set_at("adjacency_matrix", (-1, -2), torch.inf), "is NaN or infinite"),
    "downward": (edge("low", "high"), r"from feature L2/\d+ at position \d+ to feature L0"),
    "within a layer": (edge("low", "low too"), "does not lead upward"),
    "into an error": (edge("error", "low"), "to the error of layer 2 at position 0 does not lead upward"),
    "into a token": (edge("token", "low"), "to the token at position 0 does not lead upward"),
    "from a logit": (edge("logit", "logit"), "does not lead upward"),
    "of another model": (configured(d_model=64), "import it into the profile of its own model"),
    "of other transcoders": (set_at("active_features", (0, 2), 10**6), "of its own transcoders"),
    "a token of another model": (set_at("input_tokens", 1, 10**6), "has a token that profile tiny does not"),
}


@pytest.mark.parametrize("which", CONTRADICTIONS)
def test_a_graph_that_contradicts_itself(
    project: Project, capsys: pytest.CaptureFixture[str], which: str
) -> None:
    apply, message = CONTRADICTIONS[which]
    content = content_of(project)
    apply(content)
    said = refused(project, bytes_of(content), capsys)
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(said)
