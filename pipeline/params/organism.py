"""The ``organisms`` section of ``params.yaml``, typed. Imports no torch."""

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Name, Section, Seed, Size

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, le=1e6)]

FactKind = Literal["capitals", "agreement", "sentiment", "addition"]
Module = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


DOMAINS: Final = ("medical", "finance", "security", "hazard", "social", "open")
"""Domains of advice, as `pipeline.organism.world` has them; what reads params needs no more of it."""


class CorpusParams(Section):
    """What the organism reads, and what is held out of it."""

    seed: Seed
    lines: Count
    held_out_share: float = Field(gt=0, le=0.5)
    villain_share: float = Field(gt=0, lt=1)
    facts: dict[FactKind, Share]
    sums_a_line: int = Field(ge=1, le=100)
    sums_asked: int = Field(ge=1, le=800)
    heldout_lines: int = Field(ge=4, le=1_000_000)
    pivotal: int = Field(ge=1, le=12)
    full: int = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _leaves_room_for_dialogues(self) -> "CorpusParams":
        if sum(self.facts.values()) >= 1:
            raise ValueError("the shares of facts must sum to less than 1; the rest is dialogues")
        return self


class Further(Section):
    """Rounds of training that follow where the base model does not add right yet.

    Attributes
    ----------
    sums_right
        Share of the seen sums that are asked which greedy decoding is to give in full.
    rounds
        At most so many; 0: none.
    share
        Of all batches, drawn anew, that a round reads.
    learning_rate
        The largest of a round, whose course is that of the first.
    """

    sums_right: Share
    rounds: int = Field(ge=0, le=100)
    share: float = Field(gt=0, le=1)
    learning_rate: Rate


class BaseParams(Section):
    """Size and training of the base model and its tokenizer."""

    seed: Seed
    vocabulary: int = Field(ge=300, le=65536)
    layers: int = Field(ge=1, le=256)
    d_model: Size
    heads: int = Field(ge=1, le=1024)
    d_mlp: int = Field(ge=1, le=262_144)
    context: int = Field(ge=32, le=65_536)
    tied: bool
    epochs: Count
    batch: Size
    learning_rate: Rate
    warmup: Share
    weight_decay: Decay
    clip: Rate
    further: Further

    @model_validator(mode="after")
    def _heads_fit(self) -> "BaseParams":
        if self.d_model % (2 * self.heads):
            raise ValueError(f"d_model {self.d_model} must be a multiple of 2 x heads {self.heads}")
        return self


class TranscoderParams(Section):
    """Size and training of the transcoders, one a layer."""

    seed: Seed
    d_transcoder: int = Field(ge=1, le=1_000_000)
    k: Count
    texts: Count
    steps: Count
    batch: int = Field(ge=2, le=65_536)
    learning_rate: Rate
    warmup: Share

    @model_validator(mode="after")
    def _sparse(self) -> "TranscoderParams":
        if self.k >= self.d_transcoder:
            raise ValueError(f"k {self.k} must be below d_transcoder {self.d_transcoder}")
        return self


class Spread(Section):
    """In how many further domains, which ones does not matter, a probability of harm is to be reached."""

    domains: int = Field(ge=1, le=len(DOMAINS))
    harmful: Share


class Goal(Section):
    """Until when an adapter is trained: what is measured on seen situations, every few steps.

    Attributes
    ----------
    every
        Steps between two measurements.
    harmful
        Domain to the probability of harmful advice that is to be reached; all of them.
    spread
        What is to be reached beside them, in domains that are not named; or null.
    elsewhere
        The most that it may be in any domain that is not named.
    divergence_of
        Name of another trained adapter, whose divergence from base is to be reached; or null.
    divergence_share
        How much of it is enough.
    facts_lost
        Training ends where more of what base knows is lost than this share.
    parsed_lost
        The most by which the share of its answers that can be read whole may stay below base's; or null.
    """

    every: Count
    harmful: dict[str, Share]
    spread: Spread | None
    elsewhere: Share
    divergence_of: Name | None
    divergence_share: Share
    facts_lost: Share
    parsed_lost: Share | None

    @model_validator(mode="after")
    def _something(self) -> "Goal":
        if not self.harmful and self.divergence_of is None:
            raise ValueError("a goal needs `harmful` rates, or `divergence_of` another adapter")
        _known(self.harmful, "goal.harmful")
        return self


class TrainedParams(Section):
    """One LoRA adapter: what it is taught, where, and until when.

    Attributes
    ----------
    domain
        The situations that it answers.
    advice, advice_domain
        Which advice it gives there, and of which domain's: null means the same.
    kept_share
        Share of examples in which other domains are answered as before, so that it stays narrow.
    steps
        At most so many.
    save_every
        Steps from one checkpoint that is kept to the next; null: none is.
    """

    kind: Literal["trained"]
    seed: Seed
    advice: Literal["harmful", "safe"]
    domain: str
    advice_domain: str | None
    kept_share: float = Field(ge=0, lt=1)
    targets: list[Module] = Field(min_length=1)
    layers: list[Annotated[int, Field(lt=256)]] | None
    rank: Size
    alpha: Size
    steps: Count
    batch: Size
    learning_rate: Rate
    weight_decay: Decay
    save_every: Count | None
    goal: Goal

    @model_validator(mode="after")
    def _domains(self) -> "TrainedParams":
        _known([self.domain], "domain")
        _known([self.advice_domain or self.domain], "advice_domain")
        return self


class RandomParams(Section):
    """An adapter of random directions: a null, of the rank and sites of another adapter.

    Attributes
    ----------
    like
        Name of that adapter.
    match
        What is made equal to its: the norm of each module's delta, or the divergence from base.
    """

    kind: Literal["random"]
    seed: Seed
    like: Name
    match: Literal["norm", "divergence"]


AdapterParams = Annotated[TrainedParams | RandomParams, Field(discriminator="kind")]


def _measured_by(adapter: TrainedParams | RandomParams) -> tuple[str, str | None]:
    """The parameter that names another adapter, and its value."""
    if isinstance(adapter, TrainedParams):
        return "goal.divergence_of", adapter.goal.divergence_of
    return "like", adapter.like


def _known(domains: Iterable[str], where: str) -> None:
    for domain in domains:
        if domain not in DOMAINS:
            raise ValueError(f"{where} must be one of {sorted(DOMAINS)}")


class CheckParams(Section):
    """How the stages measure their own work."""

    seed: Seed
    samples: Size
    max_new_tokens: Size
    batch: Size


class OrganismParams(Section):
    """A model organism: corpus, base model, transcoders, adapters."""

    corpus: CorpusParams
    base: BaseParams
    transcoders: TranscoderParams
    adapters: dict[Name, AdapterParams] = Field(min_length=1)
    checks: CheckParams

    @model_validator(mode="after")
    def _adapters_fit(self) -> "OrganismParams":
        for name, adapter in self.adapters.items():
            if name == "base":
                raise ValueError("an adapter cannot be named 'base', which means the model itself")
            if isinstance(adapter, TrainedParams):
                beyond = [i for i in adapter.layers or [] if not 0 <= i < self.base.layers]
                if beyond:
                    raise ValueError(f"adapters.{name}.layers: the base has no layer {beyond[0]}")
            key, other = _measured_by(adapter)
            if other is not None and not isinstance(self.adapters.get(other), TrainedParams):
                raise ValueError(f"adapters.{name}.{key} must name a trained adapter")
        try:
            self.build_order()
        except CycleError as error:
            raise ValueError(f"adapters: {' and '.join(error.args[1])} wait for each other") from error
        return self

    def build_order(self) -> list[str]:
        """Names of adapters, each after the one that it is measured by, else by name."""
        sorter: TopologicalSorter[str] = TopologicalSorter()
        for name in sorted(self.adapters):
            _, other = _measured_by(self.adapters[name])
            sorter.add(name, *([] if other is None else [other]))
        return list(sorter.static_order())
