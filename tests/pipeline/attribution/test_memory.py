"""What attribution holds: no copy of weights, no square of positions, and less where memory runs out."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import PreTrainedTokenizerBase

from pipeline.attribution import room as rooms
from pipeline.attribution.engine import Attribution
from pipeline.attribution.estimate import Sizes
from pipeline.attribution.room import Room, room
from pipeline.attribution.trace import Tracing, observe
from pipeline.attribution.weights import attention_constants, projections
from pipeline.models.replacement import ReplacementModel
from pipeline.organism.tokenizer import train_tokenizer
from store.base.errors import PromptError
from tests.support.builders import CONTEXT, TEXTS, make_checkpoint
from tests.support.replacements import make_replacement, random_ids
from tests.support.subjects import ARCHITECTURES, TARGETS, Case

LENGTH = 12


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(TEXTS, vocabulary=320, context=CONTEXT)


def begun(model: ReplacementModel, ids: torch.Tensor, batch_size: int) -> Attribution:
    seen, sources = observe(model, ids.tolist())
    return Tracing(model, seen, seen.frozen, sources, None, TARGETS, batch_size=batch_size).attribution


def edges(engine: Attribution) -> list[torch.Tensor]:
    return [
        part for rows in engine.rows for part in (rows.edges, rows.constant[:, None], rows.total[:, None])
    ]


class Limit(TorchDispatchMode):
    """A device on which no gradient, (rows, positions, d_model), may be larger than so many bytes.

    `spare` of them may, until it is full.
    """

    def __init__(self, n_bytes: int, spare: int = 0) -> None:
        super().__init__()
        self.n_bytes = n_bytes
        self.spare = spare
        self.refused = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.ndim == 3 and out.nbytes > self.n_bytes:
            self.spare -= 1
            if self.spare >= 0:
                return out
            self.refused += 1
            raise torch.OutOfMemoryError(f"{out.nbytes} bytes are more than {self.n_bytes}")
        return out


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("positions", [LENGTH, 5])
def test_effects_of_embeddings_need_no_square(
    tokenizer: PreTrainedTokenizerBase, architecture: str, positions: int
) -> None:
    seen, sources = observe(make_replacement(tokenizer, architecture), random_ids(tokenizer, LENGTH).tolist())
    layer, tokens = seen.frozen.layers[0], sources.tokens
    gradient = torch.randn(7, positions, tokens.shape[1], generator=torch.Generator().manual_seed(0))
    expected = gradient.flatten(1) @ layer.written(tokens)[:positions].flatten(0, 1)
    found = layer.effects_of(tokens, gradient)
    assert found.shape == (7, positions)
    assert float((expected[:, :positions] - found).abs().max()) <= 1e-6 * float(expected.abs().max())
    # Nothing that comes later adds anything: attention is causal.
    assert not expected[:, positions:].any()


def test_long_prompts_have_the_rows_of_short_ones(tokenizer: PreTrainedTokenizerBase) -> None:
    model, ids = make_replacement(tokenizer, "llama"), random_ids(tokenizer, LENGTH)
    few, many = begun(model, ids, LENGTH - 1), begun(model, ids, LENGTH)
    assert few.tokens_written is None
    assert many.tokens_written is not None
    for engine in (few, many):
        engine.select(10**6)
    for a, b in zip(edges(few), edges(many), strict=True):
        assert float((a - b).abs().max()) <= 1e-6 * float(b.abs().max())


@pytest.mark.parametrize("spare", [0, 16], ids=["at once", "half way, with rows written in part"])
def test_batches_are_halved_where_memory_runs_out(tokenizer: PreTrainedTokenizerBase, spare: int) -> None:
    model, ids = make_replacement(tokenizer, "llama"), random_ids(tokenizer, LENGTH)
    free, limited = begun(model, ids, 64), begun(model, ids, 64)
    free.select(150)
    # Room for the gradient of a batch of 20 rows, and for all that has two dimensions.
    with Limit(20 * LENGTH * model.cfg.d_model * 4, spare) as limit:
        limited.select(150)
    assert limit.refused
    # The same nodes by the same rounds, and nothing written twice.
    assert torch.equal(free.visited, limited.visited)
    for a, b in zip(edges(limited), edges(free), strict=True):
        assert float((a - b).abs().max()) <= 1e-6 * float(b.abs().max())


def test_a_row_that_does_not_fit_is_told(tokenizer: PreTrainedTokenizerBase) -> None:
    engine = begun(make_replacement(tokenizer, "llama"), random_ids(tokenizer, LENGTH), 64)
    last = torch.tensor([len(engine.visited) - 1])
    with Limit(1000), pytest.raises(PromptError, match=r"over one row of this prompt of 12 tokens; make it"):
        engine.add(last)


def test_weights_are_looked_at_and_not_copied(tokenizer: PreTrainedTokenizerBase) -> None:
    model = make_replacement(tokenizer, "llama").to(torch.bfloat16)
    own = {parameter.data_ptr() for parameter in model.parameters()}
    for block in projections(model):
        assert {block.gate.data_ptr(), block.down.data_ptr(), block.value.data_ptr()} <= own
        assert block.up.dtype == torch.bfloat16


def test_without_biases_no_weight_is_touched(
    tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for architecture in ("llama", "qwen2"):
        model = make_replacement(tokenizer, architecture)
        seen, sources = observe(model, random_ids(tokenizer, LENGTH).tolist())
        found[architecture] = (seen, projections(model), sources.attention_constants)
    assert found["qwen2"][2] is not None
    assert found["llama"][2] is None
    monkeypatch.setattr(torch, "einsum", lambda *operands: pytest.fail("weights are multiplied with"))
    assert attention_constants(*found["llama"][:2]) is None


@pytest.mark.parametrize(
    ("variants", "attention", "on_gpu", "expected"),
    [
        (1, True, True, Room(device=10 + 7, memory=100)),
        (3, False, True, Room(device=30 + 7, memory=300)),
        (3, True, True, Room(device=30 + 10 + 7, memory=500)),  # two of them twice
        (1, True, False, Room(device=110, memory=110)),
        (2, True, False, Room(device=300 + 20, memory=300 + 20)),
    ],
)
def test_room_of_variants_together(variants: int, attention: bool, on_gpu: bool, expected: Room) -> None:
    sizes = Sizes(selected=5, active=9, row_bytes=10, graph_bytes=100, gradient_bytes=7)
    assert room(sizes, variants, attention=attention, on_gpu=on_gpu) == expected


def test_a_prompt_without_room_is_refused_before_it_is_traced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case.of(make_checkpoint(tmp_path), length=LENGTH)
    assert case.together("base", "general@1.0").traces.keys() == {"base", "general@1.0"}
    monkeypatch.setattr(rooms, "free_bytes", lambda device: 1000)
    monkeypatch.setattr(Attribution, "select", lambda *args: pytest.fail("it was begun"))
    with pytest.raises(PromptError) as caught:
        case.together("base", "general@1.0")
    assert str(caught.value).startswith(
        "This prompt of 12 tokens, traced in 2 variants, needs about 0.0 GB of memory"
    )
    assert "lower graphs.max_feature_nodes (1000000) or graphs.batch_size (128)" in str(caught.value)
