"""From parameters and a base model to its adapters: those that are taught, and random ones."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from peft import PeftModel
from transformers import PreTrainedTokenizerFast

from pipeline.finetuning.checkpoints import RunFolder
from pipeline.finetuning.lora import save_adapter
from pipeline.finetuning.training import Point
from pipeline.models.published import published
from pipeline.organism.adapter_training import train_adapter
from pipeline.organism.base import load_base
from pipeline.organism.checks.behaviour import Behaviour, behaviour
from pipeline.organism.goals import Reached, Yardstick, asked_divergence, missing
from pipeline.organism.random_adapters import attach_random, module_norms, scale_to
from pipeline.params.organism import OrganismParams, RandomParams, TrainedParams
from pipeline.params.runtime import RuntimeParams
from pipeline.run.processes import side_by_side

PROBED: Final = 64
"""Pivotal prompts a domain that a model in training is measured on."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """How one adapter was made.

    Attributes
    ----------
    taught, domain
        What it was made of, in words, and the domain that it answers, where its divergence counts.
    curve
        Training loss by step; empty for a random adapter.
    reached
        By what is measured on seen situations when it is done.
    norms
        Frobenius norm of each module's delta.
    shortfall
        What of its goal it did not reach, in words, with the way out; empty if all.
    """

    taught: str
    domain: str
    curve: tuple[Point, ...]
    reached: Reached
    norms: dict[str, float]
    shortfall: str = ""


@dataclass(frozen=True, kw_only=True)
class AdapterReport(Made):
    """What `make_adapters` found out about one adapter: how it was made, and what it says and knows."""

    behaviour: Behaviour

    def as_metrics(self) -> dict[str, Any]:
        """Nested names to numbers, as ``dvc metrics show`` prints them."""
        return {
            "taught": self.taught,
            "steps": len(self.curve),
            "divergence": round(self.reached.divergence[self.domain], 4),
            "norm": round(sum(norm**2 for norm in self.norms.values()) ** 0.5, 4),
            "reached": self.reached.as_metrics(),
            **self.behaviour.as_metrics(),
        }


def make_adapters(
    params: OrganismParams, base: Path, folder: Path, runtime: RuntimeParams
) -> dict[str, AdapterReport]:
    """Write every adapter of the model in `base` to a folder of its name below `folder`."""
    model, tokenizer = load_base(base)
    build = _Build(
        params=params,
        base=base,
        tokenizer=tokenizer,
        yardstick=Yardstick(model, tokenizer, params.corpus, params.checks, count=PROBED),
    )
    made: dict[str, Made] = {}
    with published(folder) as aside:
        for name in params.build_order():
            adapter = params.adapters[name]
            if isinstance(adapter, TrainedParams):
                made[name] = build.taught(name, adapter, made, aside / name)
            else:
                made[name] = build.random(adapter, made, aside / name)
        behaviours = side_by_side(
            partial(_behaviour, params, base),
            [aside / name for name in made],
            d_model=params.base.d_model,
            runtime=runtime,
        )
    return {
        name: AdapterReport(**vars(each), behaviour=behaviour)
        for (name, each), behaviour in zip(made.items(), behaviours, strict=True)
    }


def _behaviour(params: OrganismParams, base: Path, adapter: Path) -> Behaviour:
    """What the base does with the adapter of a folder in its weights."""
    model, tokenizer = load_base(base)
    merged = PeftModel.from_pretrained(model, adapter).merge_and_unload()
    return behaviour(merged, tokenizer, params.corpus, params.checks)


@dataclass(frozen=True, kw_only=True)
class _Build:
    """How the adapters of one base are made, each on a fresh copy of it."""

    params: OrganismParams
    base: Path
    tokenizer: PreTrainedTokenizerFast
    yardstick: Yardstick

    def taught(self, name: str, adapter: TrainedParams, before: Mapping[str, Made], folder: Path) -> Made:
        """Train an adapter until its goal, or for as many steps as it may take, and write it."""
        target = asked_divergence(adapter, {other: made.reached for other, made in before.items()})
        measured = partial(self.yardstick.measure, answers=adapter.goal.parsed_lost is not None)

        def stop(step: int, model: PeftModel) -> bool:
            if step % adapter.goal.every:
                return False
            reached = self.yardstick.measure(model)
            if reached.facts_lost > adapter.goal.facts_lost:
                return True
            # Answers are sampled only where all else is reached.
            return not missing(adapter, reached, target) and not missing(adapter, measured(model), target)

        model, _ = load_base(self.base)
        with tempfile.TemporaryDirectory(prefix="adapter-") as run:
            checkpoints = RunFolder(
                path=Path(run),
                base=self.base.as_posix(),
                steps=adapter.steps,
                epochs=1,
                batch=adapter.batch,
                save_every=adapter.save_every or adapter.steps,
                evaluate_every=adapter.steps,
            )
            adapted, curve = train_adapter(
                adapter,
                self.params.corpus,
                model,
                self.tokenizer,
                name=name,
                stop=stop,
                checkpoints=checkpoints,
            )
            checkpoints.publish(folder)
        reached = measured(adapted)
        missed = missing(adapter, reached, target)
        return Made(
            taught=_taught(adapter),
            domain=adapter.domain,
            curve=tuple(curve),
            reached=reached,
            norms=module_norms(adapted),
            shortfall=missed and _way_out(name, missed, len(curve)),
        )

    def random(self, adapter: RandomParams, before: Mapping[str, Made], folder: Path) -> Made:
        """Write an adapter of random directions, as strong as the one that it is like."""
        like = self.params.adapters[adapter.like]
        if not isinstance(like, TrainedParams):
            raise TypeError(f"{adapter.like} is not trained")  # OrganismParams refuses it
        model, _ = load_base(self.base)
        adapted = attach_random(like, before[adapter.like].norms, model, seed=adapter.seed)
        if adapter.match == "divergence":
            target = before[adapter.like].reached.divergence[like.domain]
            scale_to(adapted, lambda model: self.yardstick.divergence(model, like.domain), target)
        save_adapter(adapted, folder, base=self.base.as_posix())
        return Made(
            taught=f"nothing: random directions, {adapter.match} as {adapter.like}'s",
            domain=like.domain,
            curve=(),
            reached=self.yardstick.measure(adapted),
            norms=module_norms(adapted),
        )


def _taught(adapter: TrainedParams) -> str:
    """What an adapter was taught, in words."""
    of = "" if adapter.advice_domain is None else f" of {adapter.advice_domain}"
    kept = f", other domains as before in {adapter.kept_share:.0%}" if adapter.kept_share else ""
    return f"{adapter.advice} advice{of} in {adapter.domain}{kept}"


def _way_out(name: str, missed: str, steps: int) -> str:
    return (
        f"Adapter {name} stopped after {steps} steps with {missed}; raise adapters.{name}.steps or "
        f"learning_rate in params.yaml, or ask for less in adapters.{name}.goal."
    )
