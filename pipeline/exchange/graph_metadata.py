"""What circuit-tracer's graph says beside nodes and edges, kept so that none of it is lost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch
from circuit_tracer.graph import Graph
from circuit_tracer.utils.tl_nnsight_mapping import (
    UnifiedConfig,
    convert_nnsight_config_to_transformerlens,
)
from transformers import PreTrainedTokenizerBase

from pipeline.models.architectures import lens_config, read_config
from pipeline.models.files import folder_of
from pipeline.models.loading import DTYPES
from pipeline.models.tokenizer import load_tokenizer
from pipeline.models.transcoders import scan_of
from store.collections.item import Item
from store.documents.manifest import Manifest

_TORCH: Final = "torch."


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Names, configuration and dtypes of one graph.

    Attributes
    ----------
    input_string
        The prompt decoded, special tokens included.
    target_words
        Texts of the attribution targets, (target,).
    vocab_size
        Of the tokenizer; targets beyond it are custom directions.
    scan
        Identifier of the transcoders.
    config
        The model's sizes and names.
    value_dtype, probability_dtype
        What activations and probabilities were in; the store keeps them in float32.
    """

    input_string: str
    target_words: tuple[str, ...]
    vocab_size: int
    scan: str | tuple[str, ...] | None
    config: UnifiedConfig
    value_dtype: torch.dtype
    probability_dtype: torch.dtype

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, from which `from_json` makes the same facts."""
        scan = list(self.scan) if isinstance(self.scan, tuple) else self.scan
        return {
            **asdict(self),
            "target_words": list(self.target_words),
            "scan": scan,
            "config": {name: _worded(value) for name, value in asdict(self.config).items()},
            "value_dtype": str(self.value_dtype),
            "probability_dtype": str(self.probability_dtype),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Facts":
        """What `as_json` wrote."""
        scan = value["scan"]
        return cls(
            input_string=value["input_string"],
            target_words=tuple(value["target_words"]),
            vocab_size=value["vocab_size"],
            scan=tuple(scan) if isinstance(scan, list) else scan,
            config=UnifiedConfig(**{name: _unworded(entry) for name, entry in value["config"].items()}),
            value_dtype=_dtype(value["value_dtype"]),
            probability_dtype=_dtype(value["probability_dtype"]),
        )


def facts_of_graph(graph: Graph) -> Facts:
    """The facts of a graph at hand."""
    return Facts(
        input_string=graph.input_string,
        target_words=tuple(target.token_str for target in graph.logit_targets),
        vocab_size=graph.vocab_size,
        scan=tuple(graph.scan) if isinstance(graph.scan, list) else graph.scan,
        config=graph.cfg,
        value_dtype=graph.activation_values.dtype,
        probability_dtype=graph.logit_probabilities.dtype,
    )


def facts_of_model(
    item: Item,
    *,
    config: Any,
    tokenizer: PreTrainedTokenizerBase,
    scan: str | None,
    dtype: torch.dtype = torch.float32,
) -> Facts:
    """The facts of a graph that was traced here, as circuit-tracer would have stated them.

    Parameters
    ----------
    item
        Of the schema ``graphs``.
    config, scan
        Configuration of the replacement model, and identifier of its transcoders.
    tokenizer
        Names the tokens.
    dtype
        Of the transcoders, and so of activations.
    """
    values = torch.tensor(item.arrays["active_value"])
    return Facts(
        input_string=tokenizer.decode(item.arrays["token"].tolist()),
        target_words=tuple(tokenizer.decode(token) for token in item.arrays["target_token"].tolist()),
        vocab_size=tokenizer.vocab_size,
        scan=scan,
        config=convert_nnsight_config_to_transformerlens(config),
        # Never a dtype that would change a value, whatever the engine computed in.
        value_dtype=dtype if torch.equal(values.to(dtype).float(), values) else torch.float32,
        probability_dtype=torch.float32,
    )


def facts_of_profile(manifest: Manifest, item: Item) -> Facts:
    """The facts of a graph of the pipeline, without reading any weights.

    Raises
    ------
    UserError
        The model's or the transcoders' files are missing or damaged.
    """
    source, dtype = manifest.base.source, DTYPES[manifest.dtype]
    config = lens_config(
        read_config(folder_of(manifest.base, "model"), source), source, dtype, torch.device("cpu")
    )
    config.tokenizer_name = source
    return facts_of_model(
        item,
        config=config,
        tokenizer=load_tokenizer(manifest),
        scan=scan_of(manifest.transcoders),
        dtype=dtype,
    )


def _worded(value: Any) -> Any:
    """A torch dtype as a list, so that it is not taken for a text that reads the same."""
    return [str(value)] if isinstance(value, torch.dtype) else value


def _unworded(value: Any) -> Any:
    return _dtype(value[0]) if isinstance(value, list) else value


def _dtype(word: str) -> torch.dtype:
    dtype = getattr(torch, word.removeprefix(_TORCH))
    assert isinstance(dtype, torch.dtype)
    return dtype
