"""From parameters and a base model to its adapters."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.finetuning.lora import save_adapter
from pipeline.finetuning.training import Point
from pipeline.models.published import published
from pipeline.organism.adapter_training import train_adapter
from pipeline.organism.advice_check import Behaviour, behaviour
from pipeline.organism.base import load_base
from pipeline.params.organism import OrganismParams


@dataclass(frozen=True, kw_only=True)
class AdapterReport:
    """What `make_adapters` measured on one adapter."""

    curve: tuple[Point, ...]
    behaviour: Behaviour


def make_adapters(params: OrganismParams, base: Path, folder: Path) -> dict[str, AdapterReport]:
    """Write every adapter of the model in `base` to a folder of its name below `folder`."""
    reports = {}
    with published(folder) as aside:
        for name, adapter in params.adapters.items():
            model, tokenizer = load_base(base)
            adapted, curve = train_adapter(adapter, params.corpus, model, tokenizer, name=name)
            save_adapter(adapted, aside / name, base=base.as_posix())
            reports[name] = AdapterReport(
                curve=tuple(curve),
                behaviour=behaviour(adapted, tokenizer, params.corpus, params.checks),
            )
    return reports
