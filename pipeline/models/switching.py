"""One loaded base, set to any variant at any scale, without loading anything again.

The only place where an adapter meets weights: ``W + scale * delta`` in float32, from the
base's own ``W``, cast once. Scale 0 is base to the bit, however many variants came between.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Final, cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pipeline.models.architectures import lens_part
from pipeline.models.deltas import Delta, read_deltas
from pipeline.models.dictionaries import Transcoders
from pipeline.models.lora import require_fitting_shape
from pipeline.models.replacement import ReplacementModel, build_replacement
from store.base.errors import UserError
from store.documents.manifest import Manifest
from store.documents.variants import Variant

_LAYERS: Final = "model.layers."


class SwitchableModel:
    """A Hugging Face model that can be set to the variants of some adapters.

    Beside the model itself it holds the base's weights of the modules that these adapters
    change: a second time once they are changed, and in float32 where the profile's dtype
    would lose digits of them.

    Parameters
    ----------
    manifest
        The subject.
    model
        Its base, in float32; cast and moved here.
    adapters
        Names of the adapters that it will be set to.
    dtype, device
        Of the result.
    """

    def __init__(
        self,
        manifest: Manifest,
        model: PreTrainedModel,
        adapters: Collection[str],
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        self.manifest = manifest
        self._factors: dict[str, Mapping[str, Delta]] = {}
        self._variant: Variant | None = None
        self._changed: frozenset[str] = frozenset()
        self._base: dict[str, torch.Tensor] = {}
        for module in {module for name in adapters for module in manifest.deltas[name].targets}:
            # One by one, so that memory holds no more than the model and what is kept.
            if (parameter := _weight(model, module)) is not None:
                rounded = parameter.detach().to(device, dtype)
                self._base[module] = _kept(parameter.detach(), rounded)
                parameter.data = rounded
        # Its own `to` is typed as if it took no arguments.
        cast("nn.Module", model).to(device, dtype)
        self.model: PreTrainedModel = model.eval()

    @contextmanager
    def changing(self, variant: Variant) -> Iterator[frozenset[str]]:
        """Names of the modules that must be given their `weight` anew, which is done inside.

        Raises
        ------
        UserError
            The adapter is unreadable, or does not fit the model, which is then as it was.
        """
        if variant == self._variant:
            yield frozenset()
            return
        modules = self._changed | self.factors(variant).keys()
        # Should it fail half way, the next variant sets all of them.
        self._variant, self._changed = None, modules
        yield modules
        self._variant, self._changed = variant, frozenset(self.factors(variant))

    def weight(self, module: str, variant: Variant) -> torch.Tensor:
        """A module's weight in a variant, (out, in), of the model's dtype; never to be written to."""
        base = self._base[module]
        factors = self.factors(variant).get(module)
        if factors is None:
            return base.to(self.model.dtype)
        delta = factors.delta(base.device)
        return (base.float() + variant.scale * delta).to(self.model.dtype)

    def set(self, variant: Variant) -> PreTrainedModel:
        """Give the model a variant's weights.

        Parameters are replaced, not written to: who holds the old ones has what they were.

        Raises
        ------
        UserError
            As `changing`.
        """
        with self.changing(variant) as modules:
            for module in modules:
                weight = nn.Parameter(self.weight(module, variant), requires_grad=False)
                self.model.get_submodule(module).weight = weight
        return self.model

    def factors(self, variant: Variant) -> Mapping[str, Delta]:
        """What a variant's adapter changes by module, read once and checked; base has none.

        Raises
        ------
        UserError
            The adapter is unreadable, or does not fit the model.
        """
        if variant.is_base:
            return {}
        if variant.name not in self._factors:
            source = self.manifest.adapter(variant)
            factors = read_deltas(source, self.manifest.base)
            for module, delta in factors.items():
                self._require_fitting(source.source, module, delta)
            self._factors[variant.name] = factors
        return self._factors[variant.name]

    def _require_fitting(self, adapter: str, module: str, delta: Delta) -> None:
        weight = _weight(self.model, module)
        shape = None if weight is None else tuple(weight.shape)
        require_fitting_shape(adapter, module, delta.shape, shape, self.manifest.base.source)
        if self.model.config.tie_word_embeddings and weight is self.model.get_input_embeddings().weight:
            raise UserError(
                f"The adapter {adapter} changes {module}, which this model shares with the embedding; "
                "that is not supported."
            )
        if module not in self._base:
            raise UserError(
                f"The adapter {adapter} changes {module}, which it did not when it was looked at; "
                "run `dvc repro` to look at the models again."
            )


class SwitchableReplacement:
    """A replacement model that can be set to any variant of its manifest.

    Layers whose weights change go through TransformerLens's converter anew, alone; what they
    are then made of is bit by bit what converting the whole adapted model gives.

    Parameters
    ----------
    source
        The base; the matrices of its Hugging Face model are let go of.
    tokenizer, transcoders
        As for `build_replacement`.

    Raises
    ------
    UserError
        The transcoders do not fit the model.
    """

    def __init__(
        self, source: SwitchableModel, tokenizer: PreTrainedTokenizerBase, transcoders: Transcoders
    ) -> None:
        self._source = source
        name = source.manifest.base.source
        self._replacement = build_replacement(source.model, tokenizer, transcoders, name=name)
        for parameter in source.model.parameters():
            if parameter.ndim > 1:
                # Norms and biases stay, which the converter reads beside a changed matrix.
                parameter.data = parameter.new_zeros(()).expand(parameter.shape)

    def set(self, variant: Variant) -> ReplacementModel:
        """Give the model a variant's weights; parameters are replaced, not written to.

        Raises
        ------
        UserError
            As `SwitchableModel.changing`.
        """
        with self._source.changing(variant) as modules:
            layers: dict[int | None, list[str]] = {}
            for module in modules:
                layers.setdefault(_layer_of(module), []).append(module)
            for layer, changed in layers.items():
                weights = self._converted(layer, changed, variant)
                while weights:
                    # Each is let go of once it is copied: a layer is not held twice.
                    _assign(self._replacement, *weights.popitem())
        self._replacement.variant = str(variant)
        return self._replacement

    def factors(self, variant: Variant) -> Mapping[str, Delta]:
        """As `SwitchableModel.factors`."""
        return self._source.factors(variant)

    def _converted(self, layer: int | None, modules: list[str], variant: Variant) -> dict[str, torch.Tensor]:
        """TransformerLens's weights that depend on some modules of a layer (None: of no layer)."""
        model = self._source.model
        resting = {module: model.get_submodule(module).weight for module in modules}
        # Autograd knows which of the results depend on what was changed: a value bias makes
        # the output bias depend on W_O, for one.
        with torch.inference_mode(False), torch.enable_grad():
            try:
                for module in modules:
                    weight = nn.Parameter(self._source.weight(module, variant))
                    model.get_submodule(module).weight = weight
                weights = lens_part(model, layer, self._replacement.cfg)
            finally:
                for module, original in resting.items():
                    model.get_submodule(module).weight = original
            return {name: weight.detach() for name, weight in weights.items() if weight.requires_grad}


def _assign(replacement: ReplacementModel, name: str, weight: torch.Tensor) -> None:
    """Replace a parameter, by its name from before circuit-tracer wrapped MLPs and unembedding."""
    path, _, last = name.rpartition(".")
    module = replacement.get_submodule(path)
    for wrapped in ("old_mlp", "old_unembed"):
        module = getattr(module, wrapped, module)
    old = getattr(module, last)
    # Laid out as the old one: a product's last bits depend on it.
    fresh = torch.empty_like(old).copy_(weight)
    setattr(module, last, nn.Parameter(fresh, requires_grad=False))


def _layer_of(module: str) -> int | None:
    return int(module.removeprefix(_LAYERS).split(".")[0]) if module.startswith(_LAYERS) else None


def _weight(model: PreTrainedModel, module: str) -> nn.Parameter | None:
    try:
        weight = model.get_submodule(module).weight
    except AttributeError:
        return None
    return weight if isinstance(weight, nn.Parameter) else None


def _kept(exact: torch.Tensor, rounded: torch.Tensor) -> torch.Tensor:
    """The weight in the model's dtype where that lost nothing, else the exact one, on the same device."""
    exact = exact.to(rounded.device)
    return rounded if torch.equal(rounded.float(), exact) else exact
