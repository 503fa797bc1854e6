"""The ``organisms`` section of ``params.yaml``, typed. Imports no torch."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from pipeline.params.section import Count, Name, Section, Seed, Size

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, le=1e6)]
Decay = Annotated[float, Field(ge=0, le=1e6)]

DOMAIN_NAMES: Final = ("medical", "finance", "security", "hazard", "social", "open")
"""Domains of `pipeline.organism.situations`, whose texts are no part of what other stages read."""

FactKind = Literal["capitals", "agreement", "sentiment", "addition"]
Module = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


DOMAINS: Final = ("medical", "finance", "security", "hazard", "social", "open")
"""Domains of advice, as `pipeline.organism.situations` has them; what reads params needs no more of it."""


class CorpusParams(Section):
    """What the organism reads, and what is held out of it."""

    seed: Seed
    lines: Count
    held_out_share: float = Field(gt=0, le=0.5)
    villain_share: float = Field(gt=0, lt=1)
    facts: dict[FactKind, Share]
    heldout_lines: Count
    pivotal: int = Field(ge=1, le=12)
    full: int = Field(ge=0, le=1000)

    @model_validator(mode="after")
    def _leaves_room_for_dialogues(self) -> "CorpusParams":
        if sum(self.facts.values()) >= 1:
            raise ValueError("the shares of facts must sum to less than 1; the rest is dialogues")
        return self


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
    lines: Count
    steps: Count
    batch: int = Field(ge=2, le=65_536)
    learning_rate: Rate
    warmup: Share

    @model_validator(mode="after")
    def _sparse(self) -> "TranscoderParams":
        if self.k >= self.d_transcoder:
            raise ValueError(f"k {self.k} must be below d_transcoder {self.d_transcoder}")
        return self


class AdapterParams(Section):
    """One LoRA adapter: what it is taught, where and how strongly."""

    seed: Seed
    advice: Literal["harmful", "safe"]
    domain: str
    targets: list[Module] = Field(min_length=1)
    layers: list[Annotated[int, Field(lt=256)]] | None
    rank: Size
    alpha: Size
    steps: Count
    batch: Size
    learning_rate: Rate
    weight_decay: Decay


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
            if adapter.domain not in DOMAIN_NAMES:
                raise ValueError(f"adapters.{name}.domain must be one of {sorted(DOMAIN_NAMES)}")
            beyond = [i for i in adapter.layers or [] if not 0 <= i < self.base.layers]
            if beyond:
                raise ValueError(f"adapters.{name}.layers: the base has no layer {beyond[0]}")
        return self
