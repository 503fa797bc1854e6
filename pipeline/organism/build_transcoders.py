"""From parameters and a base model to its transcoders."""

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from pipeline.models.published import published
from pipeline.organism.base import load_base
from pipeline.organism.mlp_activations import MlpActivations
from pipeline.organism.transcoder_training import Fit, Transcoder, measure, save_transcoders, train_transcoder
from pipeline.organism.world.corpus import heldout_texts, transcoder_texts
from pipeline.params.organism import OrganismParams
from pipeline.params.runtime import RuntimeParams
from pipeline.run.processes import side_by_side


@dataclass(frozen=True, kw_only=True)
class TranscoderReport:
    """What `make_transcoders` measured: a loss curve a layer, and a fit on each kind of held-out text."""

    fits: dict[str, tuple[Fit, ...]]
    losses: tuple[tuple[float, ...], ...]

    def as_metrics(self) -> dict[str, object]:
        """Fit by kind of text and layer."""
        return {
            kind: {f"layer_{i}": asdict(fit) for i, fit in enumerate(fits)}
            for kind, fits in self.fits.items()
        }


@dataclass(frozen=True, kw_only=True)
class _Made:
    """One layer's transcoder, its losses by step, and its fit by kind of held-out text."""

    transcoder: Transcoder
    losses: tuple[float, ...]
    fits: dict[str, Fit]


def make_transcoders(
    params: OrganismParams, base: Path, folder: Path, runtime: RuntimeParams
) -> TranscoderReport:
    """Write the transcoders of the model in `base` to `folder`."""
    made = side_by_side(
        partial(_of_layer, params, base),
        range(params.base.layers),
        d_model=params.base.d_model,
        runtime=runtime,
    )
    with published(folder) as aside:
        save_transcoders([each.transcoder for each in made], aside, scan="organism")
    return TranscoderReport(
        fits={kind: tuple(each.fits[kind] for each in made) for kind in made[0].fits},
        losses=tuple(each.losses for each in made),
    )


def _of_layer(params: OrganismParams, base: Path, layer: int) -> _Made:
    """A layer at a time: the activations of all of them at once would take gigabytes."""
    model, tokenizer = load_base(base)
    del model.model.layers[layer + 1 :]  # what is above changes nothing here
    model.config.num_hidden_layers = layer + 1
    texts = transcoder_texts(params.corpus, params.transcoders.texts)
    seen = MlpActivations.of(model, tokenizer, texts, layer=layer)
    transcoder, losses = train_transcoder(params.transcoders, seen.inputs, seen.outputs, layer=layer)
    del seen
    fits = {}
    for kind, of_kind in heldout_texts(params.corpus).items():
        heldout = MlpActivations.of(model, tokenizer, of_kind, layer=layer)
        fits[kind] = measure(transcoder, heldout.inputs, heldout.outputs)
    return _Made(transcoder=transcoder, losses=tuple(losses), fits=fits)
