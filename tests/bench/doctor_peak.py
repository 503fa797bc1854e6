"""What one process takes: ``python -m tests.bench.doctor_peak FOLDER DTYPE WHAT TOKENS``.

WHAT is one of `MEASURED`.

Prints one JSON object: `peak`, the bytes that it comes to beside what Python and its libraries take, and
of graphs `active`, the features of a layer that are active on a token.
"""

import gc
import json
import sys
import tempfile
from pathlib import Path
from typing import Final

import torch

from pipeline.attribution.paired import trace_together
from pipeline.checks.health import check_health
from pipeline.features.activations import feature_activations
from pipeline.models.pool import ModelPool
from pipeline.models.sampling import draw, sample_tokens
from pipeline.params.project import load_params
from store.documents.manifest import Manifest
from tests.bench.peak import peak_bytes
from tests.support.builders import Checkpoint, make_checkpoint

VARIANTS: Final = ("base", "general@1.0")
TARGETS: Final = 10
ANSWER_TOKENS: Final = 32


def ids(n_tokens: int) -> list[int]:
    """BOS, and tokens of the random vocabulary."""
    return [1, *(3 + number % 250 for number in range(n_tokens - 1))]


def health(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Run stage `models`' checks."""
    check_health(manifest, [manifest.variant(name) for name in VARIANTS], ids(n_tokens))
    return {}


def graphs(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Trace one prompt in base and one adapted variant, as stage `graphs` does."""
    pool, chosen = ModelPool(manifest), load_params().graphs
    together = trace_together(
        pool,
        ids(n_tokens),
        VARIANTS,
        list(range(TARGETS)),
        max_feature_nodes=chosen.max_feature_nodes,
        batch_size=chosen.batch_size,
        max_components=chosen.adapter_components,
    )
    active = len(together.traces["base"].graph.active_features)
    return {"active": active / manifest.model.n_layers / (n_tokens - 1)}


def activations(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Activations of one prompt in both variants, as stage `activations` has them."""
    pool = ModelPool(manifest)
    found = [feature_activations(pool.replacement(variant), ids(n_tokens)) for variant in VARIANTS]
    return {"active": len(found[0].value) / manifest.model.n_layers / (n_tokens - 1)}


def answers(manifest: Manifest, n_tokens: int) -> dict[str, float]:
    """Answers to one question in both variants, none of which ends early, as stage `answers` samples them."""
    pool, params = ModelPool(manifest), load_params().answers
    for variant in VARIANTS:
        sample_tokens(
            pool.causal_lm(variant),
            [ids(n_tokens)] * min(params.batch, params.samples or params.batch),
            draw(torch.Generator().manual_seed(0)),
            steps=ANSWER_TOKENS,
            stops=[],
        )
    return {}


MEASURED: Final = {
    "health": health,
    "graphs": graphs,
    "activations": activations,
    "answers": answers,
}


def main() -> None:
    """Warm up on a small subject, forget its peak, and measure."""
    folder, dtype, what, n_tokens = sys.argv[1:]
    measured = MEASURED[what]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="warm-") as small:
        measured(make_checkpoint(Path(small)).manifest(dtype=dtype), 8)
    manifest = Checkpoint(folder=Path(folder)).manifest(dtype=dtype)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before = peak_bytes()
    found = measured(manifest, int(n_tokens))
    print(json.dumps({"peak": peak_bytes() - before, **found}))


if __name__ == "__main__":
    main()
