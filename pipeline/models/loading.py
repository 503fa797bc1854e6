"""The one loading path: every stage, and the dashboard, loads models here.

Folders and hub names alike, base and adapted alike: weights are read in float32, the
adapter is merged in float32, and the result is cast once to the profile's dtype.
"""

from collections.abc import Collection
from typing import Final

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, PreTrainedModel

from pipeline.models.architectures import read_config
from pipeline.models.dictionaries import Transcoders
from pipeline.models.files import folder_of, read_mapping
from pipeline.models.headers import read_header
from pipeline.models.replacement import ReplacementModel, build_replacement
from pipeline.models.switching import SwitchableModel
from pipeline.models.tokenizer import load_tokenizer
from pipeline.models.transcoders import read_transcoders
from store.base.errors import UserError
from store.base.parsing import one_line
from store.documents.manifest import Manifest, Source
from store.documents.variants import Variant

# float16 is missing on purpose: its activations overflow where the checkpoint is bfloat16 (trap 4).
DTYPES: Final = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def default_device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_causal_lm(
    manifest: Manifest,
    variant: Variant,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> PreTrainedModel:
    """Load one variant; to go from one to the next, `load_switchable`.

    Parameters
    ----------
    manifest
        The subject.
    variant
        Which weights; base (scale 0) is the checkpoint to the bit, scale 1 is PEFT's
        ``merge_and_unload`` in float32.
    dtype
        Instead of the manifest's; the health check asks for float32.
    device
        Instead of the GPU where there is one.

    Returns
    -------
    PreTrainedModel
        In eval mode, without gradients.

    Raises
    ------
    UserError
        A folder is missing or unreadable, or the adapter does not fit the model.
    """
    adapters = [] if variant.is_base else [variant.name]
    return load_switchable(manifest, adapters, dtype=dtype, device=device).set(variant)


def load_switchable(
    manifest: Manifest,
    adapters: Collection[str],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> SwitchableModel:
    """Load the base so that it can be set to the variants of some adapters.

    Parameters
    ----------
    manifest, dtype, device
        As for `load_causal_lm`.
    adapters
        Their names.

    Raises
    ------
    UserError
        The base is missing or unreadable.
    """
    return SwitchableModel(
        manifest,
        read_base(manifest.base),
        adapters,
        dtype=dtype or DTYPES[manifest.dtype],
        device=default_device() if device is None else device,
    )


def load_transcoders(
    manifest: Manifest,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
    streamed: bool = False,
) -> Transcoders:
    """Load the subject's transcoders; share them between variants. See `read_transcoders`."""
    return read_transcoders(
        manifest.transcoders,
        dtype=dtype or DTYPES[manifest.dtype],
        device=default_device() if device is None else device,
        streamed=streamed,
    )


def load_replacement(
    manifest: Manifest,
    variant: Variant,
    *,
    transcoders: Transcoders | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | None = None,
) -> ReplacementModel:
    """Load one variant as circuit-tracer's replacement model, from `load_causal_lm`'s weights.

    Parameters
    ----------
    manifest, variant, dtype, device
        As for `load_causal_lm`.
    transcoders
        Those of `load_transcoders`, to share them between variants.

    Raises
    ------
    UserError
        As `load_causal_lm`; or the transcoders do not fit the model.
    """
    if transcoders is None:
        transcoders = load_transcoders(manifest, dtype=dtype, device=device)
    model = load_causal_lm(manifest, variant, dtype=dtype, device=device)
    return build_replacement(model, load_tokenizer(manifest), transcoders, name=manifest.base.source)


def read_base(base: Source) -> PreTrainedModel:
    """The base as the checkpoint has it, in float32, without gradients, on the CPU.

    Raises
    ------
    UserError
        It is missing or unreadable.
    """
    folder = folder_of(base, "model")
    config = read_config(folder, base.source)
    # SDPA silently leaves out the soft cap of attention scores (Gemma 2).
    capped = getattr(config, "attn_logit_softcapping", None)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            attn_implementation="eager" if capped else "sdpa",
        )
    except OSError as error:
        raise UserError(
            f"The model {base.source} cannot be loaded ({one_line(error)}); "
            "weights must be safetensors files, other formats are not read."
        ) from error
    except (SafetensorError, ValueError, TypeError):
        # Not before loading: a folder may hold files that the model does not need.
        for path in sorted(folder.glob("*.json")):
            read_mapping(path)
        for path in sorted(folder.glob("*.safetensors")):
            read_header(path)
        raise
    # Not the snapshot's folder: what it is called says where features begin (`pipeline.models.opening`).
    model.name_or_path = base.source
    return model.requires_grad_(False)
