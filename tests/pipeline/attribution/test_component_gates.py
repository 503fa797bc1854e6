"""Gates at every token against PEFT's own modules, and effects against finite differences in float64."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

from pipeline.analysis.component_effects import added_frame, effects, match_frame, with_largest
from pipeline.analysis.component_tables import component_groups
from pipeline.attribution.component_gates import gate_arrays
from pipeline.attribution.component_rows import component_rows
from pipeline.params.components import ComponentParams
from store.base.errors import PromptError
from store.collections.item import Item
from store.schema.gates import GATES
from store.schema.vocabulary import WRITERS
from tests.support.local_model import recorded
from tests.support.peft_reference import PeftReference
from tests.support.replacements import WIDTH
from tests.support.subjects import COMPONENT_CASES, Case

VARIANT = "stabilised@2.0"
Place = tuple[int, int]
"""Code of the module, and its layer."""


@dataclass(kw_only=True)
class Unmerged:
    """One pass of PEFT's modules in float64, by place: what is read, rows of A, gates, and b."""

    read: dict[Place, np.ndarray] = field(default_factory=dict)
    down: dict[Place, np.ndarray] = field(default_factory=dict)
    gate: dict[Place, np.ndarray] = field(default_factory=dict)
    up: dict[Place, np.ndarray] = field(default_factory=dict)

    @classmethod
    @torch.no_grad()
    def of(cls, case: Case, variant: str) -> "Unmerged":
        name, _, scale = variant.partition("@")
        model, found = PeftReference(case.checkpoint, name, float(scale)).adapted, cls()
        for path, module in model.named_modules():
            parts = path.split(".")
            if hasattr(module, "lora_A") and parts[-1] in WRITERS:
                found._watch((WRITERS.index(parts[-1]), int(parts[2])), module)
        model.model(torch.tensor([case.ids]))
        return found

    def _watch(self, place: Place, module: torch.nn.Module) -> None:
        down, up = module.lora_A["default"], module.lora_B["default"]
        self.down[place] = down.weight.numpy()
        self.up[place] = module.scaling["default"] * up.weight.T.numpy()

        def keep(_: torch.nn.Module, arguments: tuple[torch.Tensor], out: torch.Tensor) -> None:
            self.read[place], self.gate[place] = arguments[0][0].numpy(), out[0].T.numpy()

        down.register_forward_hook(keep)


def behind_module(case: Case, variant: str, place: Place) -> np.ndarray:
    """Gain over scale of the norm behind a module, in the replacement model's pass; (n_pos, d_model)."""
    model = case.pool.replacement(variant)
    if not model.cfg.use_normalization_before_and_after:
        return np.ones((len(case.ids), WIDTH))
    name = f"blocks.{place[1]}.{('ln1_post', 'ln2_post')[place[0]]}"
    scale = recorded(model, case.ids)[f"{name}.hook_scale"].double()
    return (model.get_submodule(name).w.double() / scale).detach().numpy()


def test_gates_are_those_of_the_unmerged_adapter(component_case: Case) -> None:
    case, variant = component_case, VARIANT
    arrays, truth = gate_arrays(case.pool, variant, case.ids), Unmerged.of(case, variant)
    assert arrays.keys() == GATES.arrays.keys()
    for name, spec in GATES.arrays.items():
        assert (arrays[name].dtype, arrays[name].ndim) == (spec.dtype, len(spec.dims)), name
    assert arrays["token"].tolist() == case.ids
    names = np.stack([arrays["module"], arrays["layer"]], 1)
    assert {tuple(name) for name in names.tolist()} == truth.gate.keys()
    for place, gate in truth.gate.items():
        rows = np.flatnonzero((names == place).all(1))
        assert arrays["index"][rows].tolist() == list(range(len(gate)))
        np.testing.assert_allclose(arrays["gate"][rows], gate, atol=2e-5 * np.abs(gate).max())
        read, down = truth.read[place], truth.down[place]
        size = np.linalg.norm(down, axis=1)[:, None] * np.linalg.norm(read, axis=1)
        np.testing.assert_allclose(arrays["gate_cosine"][rows], gate / size, atol=1e-5)
        assert (arrays["read_width"][rows] == read.shape[1]).all()
        behind, up = behind_module(case, variant, place), truth.up[place]
        (origin,) = np.flatnonzero(
            (arrays["origin_module"] == place[0]) & (arrays["origin_layer"] == place[1])
        )
        added = np.linalg.norm((gate.T @ up) * behind, axis=1)
        np.testing.assert_allclose(arrays["added"][origin], added, rtol=1e-4)


@pytest.mark.parametrize("component_case", COMPONENT_CASES[3:4], indirect=True, ids="-".join)
def test_what_random_rows_of_a_add_is_the_mean_over_such_rows(component_case: Case) -> None:
    case, variant, place = component_case, VARIANT, (1, 1)
    truth, frame = (
        Unmerged.of(case, variant),
        added_frame(gate_arrays(case.pool, variant, case.ids), "down_proj"),
    )
    read, down, up = truth.read[place], truth.down[place], truth.up[place]
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(4_000, *down.shape))
    drawn *= np.linalg.norm(down, axis=1)[:, None] / np.linalg.norm(drawn, axis=2, keepdims=True)
    written = (drawn @ read.T).swapaxes(1, 2) @ up * behind_module(case, variant, place)
    expected = np.sqrt((written**2).sum(2).mean(0))
    mine = frame[frame["layer"] == place[1]]
    np.testing.assert_allclose(mine["random"], expected, rtol=0.05)
    np.testing.assert_allclose(mine["ratio"], mine["added"] / mine["random"])


def test_effects_are_finite_differences_under_frozen_norms(component_case: Case) -> None:
    case, variant = component_case, VARIANT
    arrays, truth = gate_arrays(case.pool, variant, case.ids), Unmerged.of(case, variant)
    rows = component_rows(case.pool, variant, 1)
    item = Item(key="0", prompt_hash="0", variant=variant, arrays=rows, scalars={"width": WIDTH})
    groups = component_groups({variant: item}, ComponentParams(strongest=1, level=0.05))
    frame = match_frame(groups["components"], groups["matches"], variant)
    found = effects(arrays, frame)
    model = case.pool.replacement(variant)
    seen = recorded(model, case.ids)
    behind = {place: behind_module(case, variant, place) for place in truth.gate}
    largest = np.nanmax(np.abs(found))
    assert frame["side"].nunique() == 2
    for at, match in enumerate(frame.itertuples()):
        if match.side == "decoder":
            assert np.isnan(found[at]).all()
            continue
        place = (WRITERS.index(match.module), match.origin_layer)
        vector = (
            truth.gate[place][match.component][:, None] * truth.up[place][match.component] * behind[place]
        )
        stream = seen[f"blocks.{match.layer}.hook_resid_mid"].double().numpy()
        row = case.pool.transcoders[match.layer].W_enc[match.index].detach().double().numpy()

        def pre_activation(x: np.ndarray, layer: int = match.layer, row: np.ndarray = row) -> np.ndarray:
            if model.feature_input_hook == "mlp.hook_in":
                scale = seen[f"blocks.{layer}.ln2.hook_scale"].double().numpy()
                x = x / scale * model.blocks[layer].ln2.w.detach().double().numpy()
            return x @ row

        difference = pre_activation(stream + vector / 2) - pre_activation(stream - vector / 2)
        np.testing.assert_allclose(found[at], difference, atol=2e-5 * largest)
    told = with_largest(frame, found)
    for at, match in enumerate(told.itertuples()):
        if match.side == "decoder":
            assert np.isnan(match.effect)
            assert match.position == -1
        else:
            assert abs(match.effect) == np.abs(found[at]).max()
            assert match.effect == found[at][match.position]


@pytest.mark.parametrize("component_case", COMPONENT_CASES[:1], indirect=True, ids="-".join)
def test_no_hook_stays_and_a_damaged_pass_is_told(component_case: Case) -> None:
    case = component_case
    model = case.pool.causal_lm(VARIANT)
    gate_arrays(case.pool, VARIANT, case.ids)
    assert not any(module._forward_pre_hooks for module in model.modules())
    norm = model.model.layers[1].input_layernorm.weight
    kept = norm.clone()
    norm.data.fill_(float("nan"))
    try:
        with pytest.raises(PromptError, match="o_proj of layer 1 reads is NaN or infinite") as caught:
            gate_arrays(case.pool, VARIANT, case.ids)
        assert caught.value.layer == 1
    finally:
        norm.data.copy_(kept)
    assert not any(module._forward_pre_hooks for module in model.modules())
