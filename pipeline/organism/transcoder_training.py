"""Transcoders of the base's MLPs: BatchTopK training, exported with a JumpReLU threshold.

A transcoder predicts an MLP's output from its input through sparse features:
f = JumpReLU(W_enc x + b_enc), y = f W_dec + b_dec. In training the k largest pre-activations a
token survive, counted over the batch (BatchTopK, Bussmann et al. 2024, arXiv 2412.06410); for
use, one threshold a layer keeps k a token on average. Decoder rows have unit norm, so that
activations compare across features.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from safetensors.torch import save_file
from torch import Generator, Tensor
from tqdm import tqdm

from pipeline.finetuning.schedule import rate_factor
from pipeline.params.organism import TranscoderParams

CONFIG: Final = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class Transcoder:
    """One layer's transcoder, float32; decoder rows have unit norm.

    ``W_enc`` and ``W_dec`` are (d_transcoder, d_model), ``b_enc`` and ``threshold``
    (d_transcoder,), ``b_dec`` (d_model,).
    """

    W_enc: Tensor
    b_enc: Tensor
    W_dec: Tensor
    b_dec: Tensor
    threshold: Tensor

    def encode(self, x: Tensor) -> Tensor:
        """Feature activations (n, d_transcoder) of MLP inputs (n, d_model)."""
        return jump_relu(x @ self.W_enc.T + self.b_enc, self.threshold)

    def decode(self, features: Tensor) -> Tensor:
        """MLP outputs (n, d_model) as predicted from features (n, d_transcoder)."""
        return features @ self.W_dec + self.b_dec


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well a transcoder does on held-out text.

    Attributes
    ----------
    fvu
        Fraction of variance unexplained, dimensionless.
    l0
        Mean number of active features a token.
    dead
        Fraction of features active on no token.
    tokens
        Number of tokens measured, BOS excluded.
    """

    fvu: float
    l0: float
    dead: float
    tokens: int


def jump_relu(pre: Tensor, threshold: Tensor) -> Tensor:
    """x where x exceeds the threshold, else 0 (Rajamanoharan et al. 2024, arXiv 2407.14435)."""
    return pre * (pre > threshold)


def batch_top_k_cut(pre: Tensor, k: int) -> float:
    """Value that the k * n largest entries of a (n, d_transcoder) batch reach, at least 0."""
    values = pre.detach().numpy().ravel()
    # On a CPU numpy's selection is ten times faster than torch.kthvalue or torch.topk.
    smallest_kept = values.size - k * len(pre)
    return max(0.0, float(np.partition(values, smallest_kept)[smallest_kept]))


def batch_top_k(pre: Tensor, k: int) -> Tensor:
    """The k * n largest positive entries of a (n, d_transcoder) batch; the others are 0."""
    cut = np.float32(batch_top_k_cut(pre, k))
    # One pass in place of four over a large matrix; it keeps what is above a value, so the next lower one.
    return F.threshold(pre, float(np.nextafter(cut, np.float32(-np.inf))) if cut > 0 else 0.0, 0.0)


def fraction_unexplained(actual: Tensor, predicted: Tensor) -> float:
    """Sum of squared errors over the total sum of squares around the mean vector; (n, d) each."""
    actual, predicted = actual.double(), predicted.double()
    error = (actual - predicted).square().sum()
    return float(error / (actual - actual.mean(0)).square().sum())


def train_transcoder(
    params: TranscoderParams, x: Tensor, y: Tensor, *, layer: int
) -> tuple[Transcoder, list[float]]:
    """Train one layer's transcoder on MLP inputs and outputs, both (n_tokens, d_model).

    Returns
    -------
    transcoder
        In the units of `x` and `y`.
    losses
        Fraction of variance unexplained by step, on the batch.
    """
    generator = Generator().manual_seed(params.seed * 1000 + layer)
    d_model = x.shape[1]
    # Without copies of what is hundreds of megabytes large.
    x_scale = torch.linalg.vector_norm(x) / x.numel() ** 0.5
    mean, y_scale = y.mean(0), y.var(0, correction=0).mean().sqrt()
    decoder = unit_rows(torch.randn(params.d_transcoder, d_model, generator=generator))
    W_enc = decoder.clone().requires_grad_()
    b_enc = torch.zeros(params.d_transcoder, requires_grad=True)
    W_dec = decoder.requires_grad_()
    b_dec = torch.zeros(d_model, requires_grad=True)
    weights = [W_enc, b_enc, W_dec, b_dec]
    optimizer = torch.optim.Adam(weights, lr=params.learning_rate, betas=(0.9, 0.99), fused=True)
    losses = []
    progress = tqdm(range(params.steps), desc=f"transcoder of layer {layer}", unit="step")
    for step in progress:
        for group in optimizer.param_groups:
            group["lr"] = params.learning_rate * rate_factor(step, params.steps, params.warmup)
        rows = torch.randint(len(x), (params.batch,), generator=generator)
        inputs = x[rows] / x_scale  # (B, d_model)
        outputs = (y[rows] - mean) / y_scale
        pre = inputs @ W_enc.T + b_enc  # (B, d_transcoder)
        features = batch_top_k(pre, params.k)
        residual = outputs - (features @ W_dec + b_dec)
        loss = residual.square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            W_dec.copy_(unit_rows(W_dec))
        losses.append(loss.item())
    with torch.no_grad():
        transcoder = Transcoder(
            # Features take the output's unit, so that the decoder rows keep norm one.
            W_enc=W_enc / x_scale * y_scale,
            b_enc=b_enc * y_scale,
            W_dec=W_dec.clone(),
            b_dec=b_dec * y_scale + mean,
            threshold=torch.zeros(params.d_transcoder),
        )
        return with_threshold(transcoder, x, params.k), losses


def unit_rows(matrix: Tensor) -> Tensor:
    """The rows of a matrix, each scaled to norm one."""
    norms: Tensor = matrix.norm(dim=1, keepdim=True)
    return matrix / norms


def with_threshold(transcoder: Transcoder, x: Tensor, k: int) -> Transcoder:
    """The transcoder with the one threshold that keeps `k` features a token of `x` on average."""
    cuts = [batch_top_k_cut(chunk @ transcoder.W_enc.T + transcoder.b_enc, k) for chunk in x.split(4096)]
    threshold = torch.full_like(transcoder.b_enc, sum(cuts) / len(cuts))
    return replace(transcoder, threshold=threshold)


@torch.no_grad()
def measure(transcoder: Transcoder, x: Tensor, y: Tensor) -> Fit:
    """Fit on MLP inputs and outputs (n_tokens, d_model), BOS positions already excluded."""
    predicted, active, fired = [], 0, torch.zeros(len(transcoder.b_enc), dtype=torch.bool)
    for chunk in x.split(4096):
        features = transcoder.encode(chunk)
        predicted.append(transcoder.decode(features))
        active += int((features != 0).sum())
        fired |= (features != 0).any(0)
    return Fit(
        fvu=fraction_unexplained(y, torch.cat(predicted)),
        l0=active / len(x),
        dead=1 - fired.float().mean().item(),
        tokens=len(x),
    )


def save_transcoders(transcoders: Sequence[Transcoder], folder: Path, *, scan: str) -> None:
    """Write a folder that circuit-tracer's `load_transcoders` reads.

    The paths in ``config.yaml`` are file names; resolve them against the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"layer_{i}.safetensors" for i in range(len(transcoders))]
    for name, transcoder in zip(names, transcoders, strict=True):
        tensors = {
            "W_enc": transcoder.W_enc,
            "W_dec": transcoder.W_dec,
            "b_enc": transcoder.b_enc,
            "b_dec": transcoder.b_dec,
            "activation_function.threshold": transcoder.threshold,
        }
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / name)
    config = {
        "model_kind": "transcoder_set",
        "feature_input_hook": "mlp.hook_in",
        "feature_output_hook": "mlp.hook_out",
        "scan": scan,
        "transcoders": names,
    }
    (folder / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
