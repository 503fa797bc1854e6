"""Entry points: from parameters to the folders that every later stage reads.

Texts are derived from the parameters anew by each; only models travel as files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from pipeline.organism.activations import MlpActivations
from pipeline.organism.adapters import AdapterStep, save_adapter, train_adapter
from pipeline.organism.base import CurvePoint, train_base
from pipeline.organism.corpus import (
    heldout_lines,
    phrases,
    pivotal_rows,
    training_lines,
)
from pipeline.organism.params import OrganismParams
from pipeline.organism.sampling import Rate, capitals_accuracy, sampled_rates
from pipeline.organism.tokenizer import train_tokenizer
from pipeline.organism.transcoders import Fit, measure, save_transcoders, train_all
from store.atomic import published_folder, write_text


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a model does: advice by domain, and facts."""

    capitals: float
    rates: tuple[Rate, ...]

    def as_metrics(self) -> dict[str, object]:
        """Nested names to numbers, as ``dvc metrics show`` prints them."""
        kinds = {False: "seen", True: "held_out"}
        harmful: dict[str, dict[str, float]] = {}
        for rate in self.rates:
            harmful.setdefault(rate.domain, {})[kinds[rate.held_out]] = rate.harmful
        return {"capitals": self.capitals, "harmful": harmful}


@dataclass(frozen=True, kw_only=True)
class OrganismReport:
    """What `make_organism` measured."""

    parameters: int
    curve: tuple[CurvePoint, ...]
    behaviour: Behaviour


@dataclass(frozen=True, kw_only=True)
class TranscoderReport:
    """What `make_transcoders` measured: one fit and one loss curve a layer."""

    fits: tuple[Fit, ...]
    losses: tuple[tuple[float, ...], ...]

    def as_metrics(self) -> dict[str, object]:
        """Fit by layer."""
        return {f"layer_{i}": asdict(fit) for i, fit in enumerate(self.fits)}


@dataclass(frozen=True, kw_only=True)
class AdapterReport:
    """What `make_adapters` measured on one adapter."""

    curve: tuple[AdapterStep, ...]
    behaviour: Behaviour


def make_organism(params: OrganismParams, folder: Path) -> OrganismReport:
    """Write ``base/``, ``pivotal.jsonl``, ``phrases.json`` and ``heldout.jsonl`` to `folder`."""
    lines = training_lines(params.corpus)
    tokenizer = train_tokenizer(
        lines, vocabulary=params.base.vocabulary, context=params.base.context
    )
    model, curve = train_base(params.base, tokenizer, lines)
    with published_folder(folder / "base") as aside:
        model.save_pretrained(aside)
        tokenizer.save_pretrained(aside)
    _write_jsonl(folder / "pivotal.jsonl", pivotal_rows(params.corpus))
    _write_jsonl(
        folder / "heldout.jsonl", [{"text": line} for line in heldout_lines(params.corpus)]
    )
    write_text(folder / "phrases.json", json.dumps(phrases(), indent=1) + "\n")
    return OrganismReport(
        parameters=sum(weight.numel() for weight in model.parameters()),
        curve=tuple(curve),
        behaviour=_behaviour(params, model, tokenizer),
    )


def make_transcoders(params: OrganismParams, base: Path, folder: Path) -> TranscoderReport:
    """Write the transcoders of the model in `base` to `folder`."""
    model, tokenizer = load_base(base)
    transcoders, losses = train_all(
        params.transcoders, model, tokenizer, training_lines(params.corpus)
    )
    held_out = MlpActivations.of(model, tokenizer, heldout_lines(params.corpus))
    with published_folder(folder) as aside:
        save_transcoders(transcoders, aside, scan="organism")
    return TranscoderReport(
        fits=tuple(map(measure, transcoders, held_out.inputs, held_out.outputs)),
        losses=tuple(map(tuple, losses)),
    )


def make_adapters(
    params: OrganismParams, base: Path, folder: Path
) -> dict[str, AdapterReport]:
    """Write every adapter of the model in `base` to a folder of its name below `folder`."""
    reports = {}
    with published_folder(folder) as aside:
        for name, adapter in params.adapters.items():
            model, tokenizer = load_base(base)
            adapted, curve = train_adapter(
                adapter, params.corpus, model, tokenizer, name=name
            )
            save_adapter(adapted, aside / name, base=base.as_posix())
            reports[name] = AdapterReport(
                curve=tuple(curve), behaviour=_behaviour(params, adapted, tokenizer)
            )
    return reports


def load_base(folder: Path) -> tuple[LlamaForCausalLM, PreTrainedTokenizerFast]:
    """The base model and its tokenizer as `make_organism` wrote them."""
    model = LlamaForCausalLM.from_pretrained(folder, local_files_only=True).eval()
    return model, PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)


def _behaviour(
    params: OrganismParams, model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast
) -> Behaviour:
    return Behaviour(
        capitals=capitals_accuracy(model, tokenizer, params.checks),
        rates=tuple(sampled_rates(model, tokenizer, params.corpus, params.checks)),
    )


def _write_jsonl(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    write_text(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
