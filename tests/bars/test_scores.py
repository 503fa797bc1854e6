"""Scores on the default organism, against interventions; the unfrozen model is a finding, no bar."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from transformer_lens.hook_points import HookPoint

from pipeline.attribution.paired import trace_together
from pipeline.attribution.trace import Trace, candidates, trace
from pipeline.models.loading import load_replacement
from pipeline.models.pool import ModelPool
from pipeline.models.replacement import ReplacementModel
from pipeline.params.project import load_params
from store.documents.manifest import read_manifest
from store.documents.prompts import read_prompts
from tests.support.adapter_vectors import names_of, removal_effects, split, vectors_of
from tests.support.local_model import LocalModel
from tests.support.subjects import scores_of

pytestmark = pytest.mark.bars

FOLDER = Path("artifacts/organism")
VARIANTS = ("base", "general@1.0")
PROMPTS = 3
PROBES = 200
STRONGEST = 100


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The organism, some of its prompts, and their targets."""

    pool: ModelPool
    prompts: list[list[int]]
    targets: list[list[int]]

    def trace(self, number: int, variant: str, nodes: int | None = None) -> Trace:
        """Trace a prompt, all features selected unless told otherwise."""
        model = self.pool.replacement(variant)
        limit = 10**6 if nodes is None else nodes
        return trace(
            model, self.prompts[number], self.targets[number], max_feature_nodes=limit, batch_size=256
        )


@pytest.fixture(scope="module")
def subject() -> Subject:
    assert FOLDER.exists(), f"{FOLDER} is missing: run `dvc repro` first"
    pool = ModelPool(read_manifest(FOLDER / "models.json"))
    prompts = read_prompts(FOLDER / "prompts.json")
    chosen = [list(prompt.token_ids) for prompt in prompts[:: len(prompts) // PROMPTS][:PROMPTS]]
    graphs = load_params().graphs
    rule = {"max_n_logits": graphs.max_n_logits, "desired_logit_prob": graphs.desired_logit_prob}
    targets = [
        sorted({int(token) for v in VARIANTS for token in candidates(pool.replacement(v), ids, **rule)[0]})
        for ids in chosen
    ]
    return Subject(pool=pool, prompts=chosen, targets=targets)


def drawn(n: int) -> torch.Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(n))[:PROBES]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("number", range(PROMPTS))
def test_total_effect_is_the_local_models(subject: Subject, number: int, variant: str) -> None:
    found = subject.trace(number, variant)
    local = LocalModel(subject.pool.replacement(variant), subject.prompts[number])
    probes = drawn(len(local.active))
    measured = -local.ablated(local.active[probes])[:, subject.targets[number]].T
    scores = torch.from_numpy(scores_of(found).features.total_effect)[:, probes]
    assert (scores - measured).abs().max() <= 1e-5 * measured.abs().max()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("number", range(PROMPTS))
def test_the_top_quarter_is_nearly_all(subject: Subject, number: int, variant: str) -> None:
    """Features that are no nodes answer, too: in the model that is measured, and in the stored scores."""
    local = LocalModel(subject.pool.replacement(variant), subject.prompts[number])
    found = subject.trace(number, variant, len(local.active) // 4)
    graph = found.graph
    selected = graph.active_features[graph.selected_features]
    probes = drawn(len(selected))
    measured = -local.ablated(selected[probes])[:, subject.targets[number]].T
    assert found.total_effect is not None
    scores = found.total_effect[:, graph.selected_features[probes]].double()
    assert (scores - measured).norm() <= 0.05 * measured.norm()


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_scores_of_adapter_nodes(subject: Subject, share: float) -> None:
    """Exactly, whether all features are selected or the top quarter."""
    variant, ids, targets = VARIANTS[1], subject.prompts[0], subject.targets[0]
    local = LocalModel(subject.pool.replacement(variant), ids)
    found = trace_together(
        subject.pool,
        ids,
        [variant],
        targets,
        max_feature_nodes=int(len(local.active) * share),
        batch_size=256,
        max_components=16,
    ).traces[variant]
    assert found.adapters is not None
    vectors = vectors_of(*split(subject.pool, ids, variant))
    assert list(vectors) == names_of(found.adapters.nodes)
    measured = -removal_effects(local, vectors, targets)
    scores = found.adapters.total_effect
    assert (scores - measured).abs().max() <= 1e-5 * measured.abs().max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_direct_is_circuit_tracers_constrained_ablation(subject: Subject, variant: str) -> None:
    found = subject.trace(0, variant)
    probes = drawn(len(found.graph.active_features))
    effects = interventions(
        subject, 0, variant, found, probes, constrained_layers=range(found.graph.cfg.n_layers)
    )
    assert (found.direct[:, probes].double() + effects).abs().max() <= 1e-5 * effects.abs().max()


@pytest.mark.parametrize("variant", VARIANTS)
def test_how_far_the_model_itself_agrees(
    subject: Subject,
    variant: str,
    capsys: pytest.CaptureFixture[str],
    record_property: Callable[[str, object], None],
) -> None:
    """Real MLPs answer, and what else is frozen or not: reported, not judged."""
    traces = [subject.trace(number, variant) for number in range(PROMPTS)]
    totals = [scores_of(found).features.total_effect for found in traces]
    # Those that matter: among the others rounding decides the sign.
    strongest = [torch.from_numpy(np.argsort(-np.abs(total).max(0))[:STRONGEST].copy()) for total in totals]
    predicted = [-total[:, chosen] for total, chosen in zip(totals, strongest, strict=True)]
    for name, settings in {
        "attention and norms frozen": {"freeze_attention": True, "norms": True},
        "attention frozen": {"freeze_attention": True},
        "nothing frozen": {"freeze_attention": False},
    }.items():
        measured = [
            interventions(subject, number, variant, traces[number], strongest[number], **settings).numpy()
            for number in range(PROMPTS)
        ]
        for what, change in (("logits", np.ravel), ("differences between targets", _between)):
            ours, theirs = (np.concatenate([change(x) for x in each]) for each in (predicted, measured))
            correlation = float(np.corrcoef(ours, theirs)[0, 1])
            agreement = float(np.mean(np.sign(ours) == np.sign(theirs)))
            label = f"{variant}, {name}, {what}"
            record_property(f"{label}: correlation", correlation)
            record_property(f"{label}: sign agreement", agreement)
            with capsys.disabled():
                print(f"\n{label}: correlation {correlation:.2f}, sign agreement {agreement:.2f}", end="")
            assert np.isfinite(correlation)


def _between(effects: np.ndarray) -> np.ndarray:
    return (effects - effects.mean(0)).ravel()


def interventions(
    subject: Subject,
    number: int,
    variant: str,
    found: Trace,
    probes: torch.Tensor,
    *,
    norms: bool = False,
    **settings: object,
) -> torch.Tensor:
    """Effects of ablating active features of a prompt, by circuit-tracer in float64.

    On the targets' centred logits, (target, probe); `norms` freezes norm scales, too.
    """
    model = in_float64(subject.pool, variant)
    ids, targets = torch.tensor(subject.prompts[number]), subject.targets[number]
    scales: dict[str, torch.Tensor] = {}

    def keep(scale: torch.Tensor, hook: HookPoint) -> torch.Tensor:
        return scales.setdefault(hook.name, scale)

    kept = [(name, keep) for name in model.hook_dict if norms and name.endswith("hook_scale")]
    effects = []
    with model.zero_softcap(), torch.no_grad():
        baseline = model.run_with_hooks(ids, fwd_hooks=kept)[0, -1]
        for layer, position, feature in found.graph.active_features[probes].tolist():
            # What `feature_intervention` runs, with room for the norms.
            hooks, _, _ = model._get_feature_intervention_hooks(
                ids, [(layer, position, feature, 0.0)], apply_activation_function=False, **settings
            )
            change = model.run_with_hooks(ids, fwd_hooks=[*hooks, *kept])[0, -1] - baseline
            effects.append((change - change.mean())[targets])
    return torch.stack(effects, 1)


def in_float64(pool: ModelPool, variant: str) -> ReplacementModel:
    transcoders = copy.deepcopy(pool.transcoders)  # which is cast in place
    return load_replacement(
        pool.manifest, pool.manifest.variant(variant), dtype=torch.float64, transcoders=transcoders
    )
