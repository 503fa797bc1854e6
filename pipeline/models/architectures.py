"""TransformerLens configurations and weights from a loaded Hugging Face model.

TransformerLens derives configurations from a model's *name*; a local folder or a changed
rope setting would silently get another model's. Here everything comes from the model's
own configuration; the health check then compares logits with Hugging Face's (trap 7).
"""

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import torch
from transformer_lens import HookedTransformerConfig
from transformer_lens.pretrained.weight_conversions.gemma import convert_gemma_weights
from transformer_lens.pretrained.weight_conversions.llama import convert_llama_weights
from transformer_lens.pretrained.weight_conversions.qwen2 import convert_qwen2_weights
from transformer_lens.pretrained.weight_conversions.qwen3 import convert_qwen3_weights
from transformer_lens.weight_processing import ProcessWeights
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel

from pipeline.models.base_forms import CONFIG, ConfigForm
from pipeline.models.files import LIBRARY_ERRORS, read_mapping, require_file, require_form
from store.base.errors import UserError
from store.base.parsing import one_line, quoted

# TransformerLens keeps a dense attention mask of context squared.
MAX_CONTEXT: Final = 2048

# What TransformerLens makes of converted weights: as circuit-tracer has it, the value biases
# are folded into the output bias, and nothing else is touched.
_PROCESSING: Final = {"fold_ln": False, "center_writing_weights": False, "center_unembed": False}

_CONVERTERS: Final[dict[str, Callable[[Any, HookedTransformerConfig], dict[str, torch.Tensor]]]] = {
    "LlamaForCausalLM": convert_llama_weights,
    "Qwen2ForCausalLM": convert_qwen2_weights,
    "Qwen3ForCausalLM": convert_qwen3_weights,
    "Gemma2ForCausalLM": convert_gemma_weights,
    "Gemma3ForCausalLM": convert_gemma_weights,
}
_GEMMA: Final = ("Gemma2ForCausalLM", "Gemma3ForCausalLM")
# A configuration of the text part alone is called otherwise than that of text and images.
_MODEL_TYPES: Final = {"Gemma3ForCausalLM": "gemma3_text"}
# Linear scaling is Gemma-3's, of its global layers; TransformerLens would scale local ones as llama3, too.
_ROPE_KINDS: Final = {"Gemma3ForCausalLM": "linear"}


def read_config(folder: Path, source: str) -> PretrainedConfig:
    """The configuration of a supported model.

    Parameters
    ----------
    folder
        Of the model.
    source
        What the model is called in errors.

    Raises
    ------
    UserError
        ``config.json`` is missing or damaged, or the model is not supported.
    """
    path = require_file(folder, CONFIG, "model")
    require_form(path, read_mapping(path), ConfigForm)
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder)
    except LIBRARY_ERRORS as error:
        raise UserError(
            f"{path} is no model's configuration ({one_line(error)}); correct it, or copy or "
            "download it again."
        ) from error
    require_supported(config, source)
    return config


def architecture_of(config: PretrainedConfig) -> str:
    """The class that the model was saved as; ``unknown`` where its configuration does not say."""
    return (config.architectures or ["unknown"])[0]


def require_supported(config: PretrainedConfig, source: str) -> None:
    """Refuse a model that the replacement model cannot be built from.

    Raises
    ------
    UserError
        The architecture, or a setting that TransformerLens's converter would drop.
    """
    architecture = architecture_of(config)
    if architecture not in _CONVERTERS:
        raise UserError(
            f"The model {source} is a {one_line(architecture)}; supported are {', '.join(_CONVERTERS)}."
        )
    plain = architecture.removesuffix("ForCausalLM").lower()
    if config.model_type != _MODEL_TYPES.get(architecture, plain):
        raise UserError(
            f"The model {source} says architectures [{architecture}] and model_type "
            f"{quoted(config.model_type)}, which do not belong together; correct its {CONFIG}."
        )
    biased = architecture != "Qwen2ForCausalLM" and getattr(config, "attention_bias", False)
    if biased or getattr(config, "mlp_bias", False):
        raise UserError(f"The model {source} has biases in attention or MLP, which are not supported.")
    rope = getattr(config, "rope_scaling", None) or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    known = _ROPE_KINDS.get(architecture, "llama3")
    if kind not in {"default", known}:
        raise UserError(f"The model {source} scales its rope by {quoted(kind)}; supported is {known!r}.")
    if getattr(config, "use_bidirectional_attention", False):
        raise UserError(
            f"The model {source} attends in both directions, which is no causal language model; use the one "
            "that it was made of."
        )


def lens_config(
    config: PretrainedConfig, source: str, dtype: torch.dtype, device: torch.device
) -> HookedTransformerConfig:
    """TransformerLens's configuration for a Hugging Face model.

    Parameters
    ----------
    config
        Of the Hugging Face model.
    source
        What the model is called in graphs.
    dtype, device
        Of the model to be built.
    """
    require_supported(config, source)
    architecture = architecture_of(config)
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    grouped = config.num_key_value_heads != config.num_attention_heads
    # The converters of Qwen2 and Gemma assume grouped queries; the others must not have
    # them where there is one key head a query head.
    grouped = grouped or architecture in {"Qwen2ForCausalLM", *_GEMMA}
    settings: dict[str, Any] = {
        "model_name": source,
        "original_architecture": architecture,
        "n_layers": config.num_hidden_layers,
        "d_model": config.hidden_size,
        "d_head": head,
        "n_heads": config.num_attention_heads,
        "n_key_value_heads": config.num_key_value_heads if grouped else None,
        "d_mlp": config.intermediate_size,
        "d_vocab": config.vocab_size,
        "n_ctx": min(config.max_position_embeddings, MAX_CONTEXT),
        "eps": config.rms_norm_eps,
        "act_fn": getattr(config, "hidden_activation", None) or config.hidden_act,
        "normalization_type": "RMS",
        "final_rms": True,
        "gated_mlp": True,
        "positional_embedding_type": "rotary",
        "rotary_base": config.rope_theta,
        "rotary_dim": head,
        "rotary_adjacent_pairs": False,
        "default_prepend_bos": False,
        "tokenizer_prepends_bos": False,
        "init_weights": False,
        "dtype": dtype,
        "device": str(device),
    }
    rope = getattr(config, "rope_scaling", None) or {}
    kind = rope.get("rope_type", rope.get("type"))
    if kind == "llama3":
        settings |= {
            "use_NTK_by_parts_rope": True,
            "NTK_by_parts_factor": rope["factor"],
            "NTK_by_parts_low_freq_factor": rope["low_freq_factor"],
            "NTK_by_parts_high_freq_factor": rope["high_freq_factor"],
            "NTK_original_ctx_len": rope["original_max_position_embeddings"],
        }
    if architecture in {"Qwen3ForCausalLM", "Gemma3ForCausalLM"}:
        settings["use_qk_norm"] = True
    if architecture == "Gemma3ForCausalLM":
        settings["rotary_base_local"] = config.rope_local_base_freq
        # Hugging Face reads no factor where the type is `default`.
        settings["rotary_scaling_factor"] = rope["factor"] if kind == "linear" else 1.0
    if architecture in _GEMMA:
        local = {"sliding_attention": "local", "full_attention": "global"}
        settings |= {
            "attn_scale": config.query_pre_attn_scalar**0.5,
            "use_local_attn": True,
            "window_size": config.sliding_window,
            "attn_types": [local[kind] for kind in config.layer_types],
            "attn_scores_soft_cap": config.attn_logit_softcapping or -1.0,
            "output_logits_soft_cap": config.final_logit_softcapping or -1.0,
            "use_normalization_before_and_after": True,
        }
    return HookedTransformerConfig.from_dict(settings)


def lens_part(
    model: PreTrainedModel, layer: int | None, config: HookedTransformerConfig
) -> dict[str, torch.Tensor]:
    """TransformerLens's weights of one layer of a model, or (None) of what is in none.

    By TransformerLens's own converter and processing, which work in float32: of a bfloat16 model as a
    whole that takes twice its size. Its layers do not depend on each other.

    Parameters
    ----------
    model
        The Hugging Face model.
    layer
        Which one; or None.
    config
        Of `lens_config`.
    """
    absent = SimpleNamespace(weight=torch.zeros(1, 1, device=model.device))
    inner = model.model
    part = SimpleNamespace(
        model=SimpleNamespace(
            layers=[] if layer is None else [inner.layers[layer]],
            embed_tokens=inner.embed_tokens if layer is None else absent,
            norm=inner.norm,
        ),
        lm_head=model.lm_head if layer is None else absent,
    )
    sized = copy.copy(config)
    sized.n_layers = len(part.model.layers)
    converted = _CONVERTERS[str(config.original_architecture)](part, sized)
    weights = ProcessWeights.process_weights(converted, sized, **_PROCESSING)
    return {
        name.replace("blocks.0.", f"blocks.{layer}."): weight
        for name, weight in weights.items()
        if name.startswith("blocks.") == (layer is not None)
    }
