"""From parameters and a base model to its transcoders."""

from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.models.published import published
from pipeline.organism.base import load_base
from pipeline.organism.corpus import heldout_lines, training_lines
from pipeline.organism.mlp_activations import MlpActivations
from pipeline.organism.transcoder_training import Fit, measure, save_transcoders, train_all
from pipeline.params.organism import OrganismParams


@dataclass(frozen=True, kw_only=True)
class TranscoderReport:
    """What `make_transcoders` measured: one fit and one loss curve a layer."""

    fits: tuple[Fit, ...]
    losses: tuple[tuple[float, ...], ...]

    def as_metrics(self) -> dict[str, object]:
        """Fit by layer."""
        return {f"layer_{i}": asdict(fit) for i, fit in enumerate(self.fits)}


def make_transcoders(params: OrganismParams, base: Path, folder: Path) -> TranscoderReport:
    """Write the transcoders of the model in `base` to `folder`."""
    model, tokenizer = load_base(base)
    transcoders, losses = train_all(params.transcoders, model, tokenizer, training_lines(params.corpus))
    held_out = MlpActivations.of(model, tokenizer, heldout_lines(params.corpus))
    with published(folder) as aside:
        save_transcoders(transcoders, aside, scan="organism")
    return TranscoderReport(
        fits=tuple(map(measure, transcoders, held_out.inputs, held_out.outputs)),
        losses=tuple(map(tuple, losses)),
    )
