"""The ``judges`` section of ``params.yaml``, typed. Imports no torch, and no client of a service."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.params.chat import Chat
from pipeline.params.profiles import Place
from pipeline.params.section import Count, Section, Seed, Size

Price = Annotated[float, Field(ge=0, le=1e6)]
"""Of a million tokens, in the currency that `max_cost` is in."""


class RubricJudge(Section):
    """The lexicon's labels of tokens, the grammar's scores of answers: no model, no network."""

    kind: Literal["rubric"]


class OpenAIJudge(Section):
    """A model behind OpenAI's interface, or one compatible with it.

    `key` names the environment variable that holds the key; the key itself stands nowhere.
    """

    kind: Literal["openai"]
    model: Annotated[str, Field(min_length=1, max_length=200)]
    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]", max_length=1000)] | None = None
    api: Literal["chat", "responses"] = "chat"
    key: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=100)] = "OPENAI_API_KEY"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: Seed | None = None
    timeout: float = Field(gt=0, le=86_400)
    concurrency: int = Field(ge=1, le=256)
    attempts: int = Field(ge=1, le=20)
    backoff: float = Field(ge=0, le=60)
    max_calls: Count
    max_cost: float = Field(ge=0, le=1e9)
    input_price: Price
    output_price: Price
    examples: int = Field(0, ge=0, le=100)

    @model_validator(mode="after")
    def _seed_is_sent(self) -> "OpenAIJudge":
        if self.seed is not None and self.api == "responses":
            raise ValueError("seed must be null where api is responses, which takes none")
        return self


class LocalJudge(Section):
    """A chat model of Hugging Face's format in a folder."""

    kind: Literal["local"]
    folder: Place
    dtype: Literal["float32", "bfloat16"] = "float32"
    max_new_tokens: Size
    batch: Size
    chat: Chat = Field(default_factory=dict)
    examples: int = Field(0, ge=0, le=100)


JudgeParams = Annotated[RubricJudge | OpenAIJudge | LocalJudge, Field(discriminator="kind")]
