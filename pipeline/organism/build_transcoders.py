"""From parameters and a base model to its transcoders."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.models.published import published
from pipeline.organism.base import load_base
from pipeline.organism.mlp_activations import MlpActivations
from pipeline.organism.transcoder_training import Fit, measure, save_transcoders, train_all
from pipeline.organism.world.corpus import heldout_texts, transcoder_texts
from pipeline.params.organism import OrganismParams


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


def make_transcoders(params: OrganismParams, base: Path, folder: Path) -> TranscoderReport:
    """Write the transcoders of the model in `base` to `folder`."""
    model, tokenizer = load_base(base)
    texts = transcoder_texts(params.corpus, params.transcoders.texts)
    transcoders, losses = train_all(params.transcoders, model, tokenizer, texts)
    fits = {}
    for kind, of_kind in heldout_texts(params.corpus).items():
        seen = MlpActivations.of(model, tokenizer, of_kind)
        fits[kind] = tuple(map(measure, transcoders, seen.inputs, seen.outputs))
    with published(folder) as aside:
        save_transcoders(transcoders, aside, scan="organism")
    return TranscoderReport(fits=fits, losses=tuple(map(tuple, losses)))
