"""Is a model's folder of one piece? Its configuration's form, and the shapes of its weights.

Read before anything is loaded: what transformers makes of a value that it did not expect, of a
tensor of another shape or of one that is missing ranges from twenty lines of its own calls to
random weights and a warning.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from transformers import AutoModelForCausalLM, GenerationConfig, PretrainedConfig, PreTrainedModel

from pipeline.models.files import LIBRARY_ERRORS, damaged, read_mapping, require_file
from pipeline.models.headers import read_header
from store.base.errors import UserError
from store.base.parsing import one_line, quoted

CONFIG: Final = "config.json"
_WEIGHTS: Final = "model.safetensors"
_INDEX: Final = "model.safetensors.index.json"
# Buffers that older checkpoints carry, made anew from the configuration.
_MADE_ANEW: Final = re.compile(r".*\.inv_freq")

Size = Annotated[int, Field(ge=1, le=1_000_000)]
Positive = Annotated[float, Field(gt=0, le=1e12)]


class RopeForm(BaseModel):
    """``rope_scaling`` of a ``config.json``."""

    model_config = ConfigDict(allow_inf_nan=False)

    rope_type: str | None = None
    type: str | None = None
    factor: Positive | None = None
    low_freq_factor: Positive | None = None
    high_freq_factor: Positive | None = None
    original_max_position_embeddings: int | None = Field(None, ge=1)


class ConfigForm(BaseModel):
    """A ``config.json``, as far as a model is made of it; what is left out has transformers' default."""

    model_config = ConfigDict(allow_inf_nan=False)

    model_type: str | None = None
    architectures: list[str] | None = None
    hidden_size: Size | None = None
    intermediate_size: Size | None = None
    num_hidden_layers: int | None = Field(None, ge=1, le=1000)
    num_attention_heads: Size | None = None
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    vocab_size: int | None = Field(None, ge=1, le=10_000_000)
    max_position_embeddings: int | None = Field(None, ge=1, le=10**9)
    rms_norm_eps: float | None = Field(None, gt=0, lt=1)
    hidden_act: str | None = None
    hidden_activation: str | None = None
    rope_theta: Positive | None = None
    rope_scaling: RopeForm | None = None
    tie_word_embeddings: bool | None = None
    attention_bias: bool | None = None
    mlp_bias: bool | None = None
    attention_dropout: float | None = Field(None, ge=0, lt=1)
    initializer_range: float | None = None
    query_pre_attn_scalar: Positive | None = None
    sliding_window: int | None = Field(None, ge=1)
    attn_logit_softcapping: Positive | None = None
    final_logit_softcapping: Positive | None = None
    rope_local_base_freq: Positive | None = None
    sliding_window_pattern: int | None = Field(None, ge=1)
    use_bidirectional_attention: bool | None = None
    layer_types: list[Literal["full_attention", "sliding_attention"]] | None = None


def empty_model(config: PretrainedConfig, path: Path) -> PreTrainedModel:
    """The model of a configuration, without memory for its weights.

    Parameters
    ----------
    config
        As transformers read it.
    path
        The file, for errors.

    Raises
    ------
    UserError
        No model can be made of it.
    """
    heads, key_heads = config.num_attention_heads, config.num_key_value_heads
    if heads % key_heads:
        raise UserError(
            f"{path}: num_attention_heads is {heads}, no multiple of num_key_value_heads {key_heads}; "
            "correct them, or copy or download the file again."
        )
    kinds = getattr(config, "layer_types", None)
    if kinds is not None and len(kinds) != config.num_hidden_layers:
        raise UserError(
            f"{path}: layer_types names {len(kinds)} layers, but num_hidden_layers is "
            f"{config.num_hidden_layers}; correct them, or copy or download the file again."
        )
    try:
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    except LIBRARY_ERRORS as error:
        raise UserError(
            f"{path} makes no model ({one_line(error)}); correct it, or copy or download it again."
        ) from error
    return model


def require_weights(folder: Path, model: PreTrainedModel) -> None:
    """Compare the headers of a folder's weights with the model of its configuration.

    Parameters
    ----------
    folder
        Of the model.
    model
        Of `empty_model`.

    Raises
    ------
    UserError
        A file is missing or damaged; a weight is missing, is of another shape, or has no place
        in the model; the message names file, tensor, what is expected and what is there.
    """
    files = weight_files(folder)
    expected = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    prefix = f"{model.base_model_prefix}."
    config = folder / CONFIG
    headers = {path: read_header(path) for path in sorted(set(files.values()))}
    placed: dict[str, tuple[Path, str]] = {}
    for name, path in files.items():
        # Some are saved without what stands before every name.
        whole = name if name in expected else prefix + name
        if whole in expected:
            placed[whole] = (path, name)
        elif not _MADE_ANEW.fullmatch(name):
            raise UserError(
                f"{path}: tensor {quoted(name)} has no place in the model of {config}, which would be loaded "
                "without it; correct the configuration, or copy or download both again."
            )
    tied = (
        set(getattr(model, "_tied_weights_keys", None) or []) if model.config.tie_word_embeddings else set()
    )
    for name, shape in expected.items():
        if name in placed:
            path, stored = placed[name]
            headers[path].require(stored, shape, f"{config} says so; correct it, or copy the weights again")
        elif name not in tied:
            raise UserError(
                f"{folder}: tensor {quoted(name)} is missing, but {shape} is expected: {config} says so; "
                "correct it, or copy the weights again."
            )


def require_generation(folder: Path) -> None:
    """Refuse settings of generation that transformers cannot read, where there are any.

    Raises
    ------
    UserError
        ``generation_config.json`` is damaged or of another form.
    """
    path = folder / "generation_config.json"
    if not path.is_file():
        return
    content = read_mapping(path)
    try:
        GenerationConfig.from_dict(content)
    except LIBRARY_ERRORS as error:
        raise UserError(
            f"{path} cannot be read ({one_line(error)}); correct it, or copy or download it again."
        ) from error


def weight_files(folder: Path) -> Mapping[str, Path]:
    """The file that holds each tensor of a model.

    Raises
    ------
    UserError
        There is none, or the index is damaged.
    """
    whole, index = folder / _WEIGHTS, folder / _INDEX
    if whole.is_file():
        return dict.fromkeys(read_header(whole).shapes, whole)
    if not index.is_file():
        raise UserError(
            f"The model folder {folder} has neither {_WEIGHTS} nor {_INDEX}; weights must be safetensors "
            "files, other formats are not read."
        )
    listed = read_mapping(index).get("weight_map")
    if not isinstance(listed, dict) or not listed:
        raise damaged(index, "it has no weight_map of names and files")
    files = {}
    for name, file in listed.items():
        if not isinstance(file, str) or Path(file).name != file or not file.endswith(".safetensors"):
            raise damaged(index, f"weight_map gives {quoted(name)} the file {quoted(file)}")
        files[name] = require_file(folder, file, "model")
    return files
