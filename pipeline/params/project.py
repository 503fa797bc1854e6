"""``params.yaml``, typed: the only place where a number is chosen."""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.params.organism import OrganismParams
from pipeline.params.section import Count, Name, Section
from store.base.errors import UserError

Share = Annotated[float, Field(gt=0, le=1)]


class Profile(Section):
    """One subject: a base model, its transcoders and its adapters."""

    model: str
    revision: str | None = None
    transcoders: str
    transcoders_revision: str | None = None
    adapters: dict[Name, str] = Field(min_length=1)
    focus: str
    dtype: Literal["float32", "bfloat16"] = "float32"
    prompts: list[str] = Field(min_length=1)
    lexicon: str | None = None
    texts: str | None = None
    local: str

    @model_validator(mode="after")
    def _consistent(self) -> "Profile":
        if self.focus not in self.adapters:
            raise ValueError(f"focus '{self.focus}' is not one of its adapters {sorted(self.adapters)}")
        if "base" in self.adapters:
            raise ValueError("an adapter cannot be named 'base', which means the model itself")
        return self

    def sources(self) -> dict[str, str]:
        """Every source by the parameter that names it."""
        named = {"model": self.model, "transcoders": self.transcoders}
        named |= {f"adapters.{name}": source for name, source in self.adapters.items()}
        named |= {f"prompts[{i}]": source for i, source in enumerate(self.prompts)}
        optional = {"lexicon": self.lexicon, "texts": self.texts}
        return named | {name: source for name, source in optional.items() if source is not None}


class RuntimeParams(Section):
    """Seed and threads: with the machine they fix the last bit."""

    seed: int = Field(ge=0, lt=2**32)
    threads: Count


class PromptParams(Section):
    """Which prompts are accepted."""

    max_tokens: int = Field(ge=2)


class GraphParams(Section):
    """How graphs are traced, and what of them is kept."""

    max_n_logits: Count
    desired_logit_prob: Share
    max_feature_nodes: Count
    batch_size: Count
    adapter_components: Count
    every_variant_tag: str
    node_threshold: Share
    edge_threshold: Share
    keep_node_threshold: Share
    keep_edges: Count
    full: Literal["never", "always", "tagged"]
    full_tag: str

    @model_validator(mode="after")
    def _keeps_what_is_shown(self) -> "GraphParams":
        if self.keep_node_threshold < self.node_threshold:
            raise ValueError("keep_node_threshold must be at least node_threshold")
        return self


class DoseParams(Section):
    """At which scales the focus adapter is traced, and on which prompts."""

    scales: list[float] = Field(min_length=1)
    tag: str

    @model_validator(mode="after")
    def _distinct(self) -> "DoseParams":
        if len({float(scale) for scale in [0.0, *self.scales]}) <= len(self.scales):
            raise ValueError("scales must differ from each other and from 0, which is base and always there")
        return self


class FeatureParams(Section):
    """Statistics over features and their strongest contexts."""

    permutations: Count
    bootstrap: Count
    confidence: float = Field(gt=0, lt=1)
    min_situations: int = Field(ge=2)
    fdr: float = Field(gt=0, lt=1)
    edges: Count
    contexts: Count
    window: int = Field(ge=4)
    bins: int = Field(ge=2)
    bin_low: float = Field(gt=0)
    bin_high: float = Field(gt=0)
    promoted: Count

    @model_validator(mode="after")
    def _bins_ascend(self) -> "FeatureParams":
        if self.bin_low >= self.bin_high:
            raise ValueError("bin_low must be below bin_high")
        return self


class EvaluateParams(Section):
    """How continuations are sampled and rated."""

    samples: Count
    max_new_tokens: Count
    temperature: float = Field(gt=0)
    confidence: float = Field(gt=0, lt=1)


class Params(Section):
    """All of ``params.yaml``."""

    profiles: dict[Name, Profile] = Field(min_length=1)
    runtime: RuntimeParams
    organisms: dict[Name, OrganismParams]
    prompts: PromptParams
    graphs: GraphParams
    dose: DoseParams
    features: FeatureParams
    evaluate: EvaluateParams

    def profile(self, name: str) -> Profile:
        """The profile of that name.

        Raises
        ------
        UserError
            There is none.
        """
        if name not in self.profiles:
            raise UserError(f"There is no profile '{name}' in params.yaml; it has {sorted(self.profiles)}.")
        return self.profiles[name]

    def organism(self, name: str) -> OrganismParams:
        """How the organism of a profile is trained.

        Raises
        ------
        UserError
            The profile is not one that is trained here.
        """
        if name not in self.organisms:
            raise UserError(f"There is no organism '{name}' in params.yaml; it has {sorted(self.organisms)}.")
        return self.organisms[name]


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check ``params.yaml``.

    Raises
    ------
    UserError
        The file is missing or malformed, or a parameter is unknown, of the wrong type or
        out of range; the message names it.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist here; run from the project's root.")
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Params.model_validate(content)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        raise UserError(f"{path}: {_sentence(error)}") from error


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    what = first["msg"].removeprefix("Value error, ")
    given = "" if first["type"] in {"missing", "value_error"} else f" (it is {first['input']!r})"
    more = error.error_count() - 1
    others = f" {more} more parameter{'s are' if more > 1 else ' is'} wrong, too." if more else ""
    return f"parameter {where}: {what}{given}.{others}"
