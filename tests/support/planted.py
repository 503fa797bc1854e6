"""Adapters that are known to do something: one wakes a feature that favours evil, one writes evil.

Evil and safe tokens are drawn alike, so that nothing but what is planted can favour the evil ones.
Situations share them, as those of a domain do: each has a few of both for its targets, so that there
are many ways to deal the labels among the domain's tokens, and a dealt one scores most prompts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.attribution.paired import Together, trace_together
from pipeline.attribution.prompt_items import PromptItems, prompt_items
from pipeline.items.units import ItemName
from pipeline.models.pool import ModelPool
from pipeline.text.lexicon import TokenLabel
from pipeline.text.token_labels import TokenLabels
from store.base.hashing import prompt_hash
from store.documents.prompts import Prompt
from tests.support.builders import Checkpoint, add_adapter, make_checkpoint

DOMAIN: Final = "planted"
N_LAYERS: Final = 4
WIDTH: Final = 64
SITUATIONS: Final = 24
LENGTH: Final = 7
TOKENS: Final = 12
"""Evil tokens of the domain, and as many safe ones."""
TARGETS: Final = 3
"""Of each in every situation."""
FEATURE: Final = 11
STRENGTH: Final = 8.0
"""Length of what the adapter writes; about 4 is its MLP's output."""
SITES: Final = {"down": "mlp.down_proj", "o": "self_attn.o_proj", "gate": "mlp.gate_proj"}
"""Where the adapter sits in its layer."""
DECODER: Final = 3.0
"""Length of the planted decoder; 1 is the others'."""
FIRST_TOKEN: Final = 3
"""Behind the special tokens."""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A subject, its prompts, and what was planted.

    Attributes
    ----------
    checkpoint
        Adapters ``planted`` and ``random`` of rank 1 on one layer's ``down_proj``.
    layer
        Of the adapters.
    prompts
        One a situation.
    evil, safe
        Tokens of the domain.
    targets
        Tokens by situation: `TARGETS` evil ones, then as many safe ones.
    """

    checkpoint: Checkpoint
    layer: int
    prompts: list[Prompt]
    evil: tuple[int, ...]
    safe: tuple[int, ...]
    targets: Mapping[str, tuple[int, ...]]

    @property
    def feature(self) -> tuple[int, int]:
        """Layer and index of the planted feature."""
        return self.layer + 1, FEATURE

    @cached_property
    def pool(self) -> ModelPool:
        """Its models; adapters must have been written."""
        names = ("planted", "random")
        folders = {name: str(self.checkpoint.adapter(name)) for name in names}
        return ModelPool(self.checkpoint.manifest(adapters=folders, focus="planted"))

    def labels(self, order: Sequence[int] | None = None) -> TokenLabels:
        """Labels of the tokens; dealt anew if they are given in another `order`, evil ones first."""
        tokens = list(self.evil + self.safe if order is None else order)
        labels = {"evil": tokens[:TOKENS], "safe": tokens[TOKENS:], "unsure": []}
        return TokenLabels(lexicon={"domains": {DOMAIN: labels | {"phrases": {"harmful": [], "safe": []}}}})

    def truth(self) -> dict[str, dict[int, TokenLabel]]:
        """The true label of every target, by prompt hash and token id."""
        said: dict[int, TokenLabel] = dict.fromkeys(self.evil, "evil") | dict.fromkeys(self.safe, "safe")
        return {
            prompt.hash: {token: said[token] for token in self.targets[prompt.situation]}
            for prompt in self.prompts
        }

    def together(self, prompt: Prompt, *variants: str) -> Together:
        """Traces of one prompt, all features selected."""
        return trace_together(
            self.pool,
            prompt.token_ids,
            variants,
            self.targets[prompt.situation],
            max_feature_nodes=10**6,
            batch_size=256,
            max_components=4,
        )

    def items(self, prompt: Prompt, *variants: str) -> PromptItems:
        """What the pipeline makes of one prompt, all features selected."""
        targets = self.targets[prompt.situation]
        return prompt_items(
            self.pool,
            prompt.token_ids,
            [ItemName(key="0" * 64, prompt_hash=prompt.hash, variant=variant) for variant in variants],
            targets=targets,
            own_candidates=dict.fromkeys(variants, targets),
            max_feature_nodes=10**6,
            batch_size=256,
            adapter_components=4,
            node_threshold=0.8,
            edge_threshold=0.98,
            keep_node_threshold=0.9,
            keep_edges=1000,
        )


def make_subject(folder: Path, layer: int, *, favour_evil: bool = True) -> Planted:
    """A random subject, adapters to be written.

    Unless told otherwise, a later feature's decoder favours all evil tokens alike.
    """
    checkpoint = make_checkpoint(folder, n_layers=N_LAYERS, d_model=WIDTH, seed=layer)
    generator = torch.Generator().manual_seed(layer)
    model = _load(checkpoint)
    free = FIRST_TOKEN + torch.randperm(model.config.vocab_size - FIRST_TOKEN, generator=generator)
    evil, safe = free[: 2 * TOKENS].reshape(2, -1)
    targets = {f"situation {number}": _some(evil, safe, generator=generator) for number in range(SITUATIONS)}
    prompts = [_prompt(situation, free, generator) for situation in targets]
    planted = Planted(
        checkpoint=checkpoint,
        layer=layer,
        prompts=prompts,
        evil=tuple(evil.tolist()),
        safe=tuple(safe.tolist()),
        targets=targets,
    )
    if not favour_evil:
        return planted
    path = checkpoint.transcoders / f"layer_{layer + 1}.safetensors"
    tensors = load_file(path)
    # The shortest vector that adds the same to every evil token, and takes it from every safe one.
    reads = torch.stack([token_direction(model, [token]) for token in (*planted.evil, *planted.safe)])
    signs = torch.ones(2, TOKENS) * torch.tensor([[1.0], [-1.0]])
    decoder = torch.linalg.pinv(reads) @ signs.flatten()
    others = tensors["W_dec"].norm(dim=1).mean()
    tensors["W_dec"][FEATURE] = DECODER * decoder * others / decoder.norm()
    save_file(tensors, path)
    return planted


def token_direction(model: PreTrainedModel, tokens: Sequence[int]) -> torch.Tensor:
    """What in the residual stream favours tokens, up to the final norm's scale."""
    return model.model.norm.weight * model.lm_head.weight[list(tokens)].mean(0)


def write_adapters(
    planted: Planted, read: torch.Tensor, written: torch.Tensor, *, site: str = "down", seed: int = 0
) -> None:
    """Save the adapter that reads a module's input with one vector and writes another, and a random one.

    The random adapter's halves are as long; `seed` draws others.
    """
    generator = torch.Generator().manual_seed(100 + planted.layer + 1000 * seed)
    for name in ("planted", "random"):
        if name == "random":
            read, written = (
                random / random.norm() * vector.norm()
                for vector in (read, written)
                for random in [torch.randn(len(vector), generator=generator)]
            )
        folder = add_adapter(
            planted.checkpoint,
            name,
            r=1,
            lora_alpha=1,
            target_modules=rf"model\.layers\.{planted.layer}\.{SITES[site]}",
        )
        path = folder / "adapter_model.safetensors"
        halves = {key: read[None] if "lora_A" in key else written[:, None] for key in load_file(path)}
        save_file({key: half.contiguous() for key, half in halves.items()}, path)


def waking(planted: Planted, *, site: str = "down") -> tuple[torch.Tensor, torch.Tensor]:
    """What an adapter reads and writes that wakes the planted feature on most prompts.

    It reads the direction of its module's input that is most steadily positive (Fisher's), 1 on
    average, and writes the feature's encoder as seen through the norm before it; to the gate, which is
    not added to the residual stream, what increases the feature most (its gradient).
    """
    model = _load(planted.checkpoint)
    inputs = [module_input(model, planted.layer, site, prompt.token_ids)[1:] for prompt in planted.prompts]
    read = steadily_one(torch.cat(inputs))
    layer, feature = planted.feature
    encoder = load_file(planted.checkpoint.transcoders / f"layer_{layer}.safetensors")["W_enc"][feature]
    if site == "gate":
        weighted = _gate_gradient(planted, model, read, encoder)
    else:
        weighted = encoder * model.model.layers[layer].post_attention_layernorm.weight
    return read, STRENGTH * weighted / weighted.norm()


def steadily_one(hidden: torch.Tensor) -> torch.Tensor:
    """The direction of (token, width) inputs that is most steadily positive (Fisher's), 1 on average."""
    mean = hidden.mean(0)
    read = torch.linalg.solve(torch.cov(hidden.T) + 1e-3 * hidden.var() * torch.eye(len(mean)), mean)
    return read / (read @ mean)


def _gate_gradient(
    planted: Planted, model: PreTrainedModel, read: torch.Tensor, encoder: torch.Tensor
) -> torch.Tensor:
    """How the planted feature's input grows, on average, with what is added to the gate; (d_mlp,)."""
    gate = model.model.layers[planted.layer].mlp.gate_proj
    reader = model.model.layers[planted.feature[0]].mlp
    added = torch.zeros(gate.out_features, requires_grad=True)
    found: list[torch.Tensor] = []
    hooks = [
        gate.register_forward_hook(lambda _, inputs, output: output + (inputs[0] @ read)[..., None] * added),
        reader.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0][0, 1:] @ encoder)),
    ]
    for prompt in planted.prompts:
        model(torch.tensor([prompt.token_ids]))
    for hook in hooks:
        hook.remove()
    torch.cat(found).mean().backward()
    assert added.grad is not None
    return added.grad


@torch.no_grad()
def module_input(model: PreTrainedModel, layer: int, site: str, ids: tuple[int, ...]) -> torch.Tensor:
    """What a module of `SITES` reads; (position, its width)."""
    found: list[torch.Tensor] = []
    module = model.model.layers[layer].get_submodule(SITES[site])
    hook = module.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0][0]))
    model(torch.tensor([ids]))
    hook.remove()
    return found[0]


def writing_evil(planted: Planted, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """What an adapter reads and writes that favours the evil tokens of one prompt, by itself.

    At the last position it writes as much as the MLP does.
    """
    model = _load(planted.checkpoint)
    hidden = module_input(model, planted.layer, "down", prompt.token_ids)[-1]
    output = model.model.layers[planted.layer].mlp.down_proj(hidden)
    targets = planted.targets[prompt.situation]
    evil, safe = (token_direction(model, part) for part in (targets[:TARGETS], targets[TARGETS:]))
    direction = evil - safe
    return hidden / hidden.square().sum(), direction / direction.norm() * output.norm()


def _load(checkpoint: Checkpoint) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(checkpoint.base).eval().requires_grad_(False)


def _some(*pools: torch.Tensor, generator: torch.Generator) -> tuple[int, ...]:
    """`TARGETS` tokens of each pool."""
    chosen = [pool[torch.randperm(len(pool), generator=generator)[:TARGETS]] for pool in pools]
    return tuple(torch.cat(chosen).tolist())


def _prompt(situation: str, tokens: torch.Tensor, generator: torch.Generator) -> Prompt:
    drawn = tokens[torch.randint(len(tokens), (LENGTH - 1,), generator=generator)].tolist()
    return Prompt(
        hash=prompt_hash(situation),
        name=situation,
        situation=situation,
        domain=DOMAIN,
        held_out=False,
        tags=(),
        text=situation,
        token_ids=(1, *drawn),
        tokens=("<s>", *map(str, drawn)),
        source=situation,
    )
