"""What is known of seeing colours: contrast (WCAG 2.1), and how people without a kind of cone see them."""

from typing import Final

import numpy as np

_SEEN: Final = {
    "all cones": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
"""Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB."""

_CONES: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def rgb(colour: str) -> np.ndarray:
    """``#rrggbb`` as three numbers of 0 to 1."""
    return np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])


def _linear(channels: np.ndarray) -> np.ndarray:
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Contrast ratio of two colours, 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(_linear(colour) @ weights) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def mixed(over: np.ndarray, under: np.ndarray, opacity: float) -> np.ndarray:
    """A translucent colour on another."""
    return opacity * over + (1 - opacity) * under


def difference(one: str, other: str) -> float:
    """Distance of two colours in OKLab, as those see it who see it least; a just visible one is 0.02."""
    apart = []
    for matrix in _SEEN.values():
        labs = [
            np.cbrt(np.clip(np.asarray(matrix) @ _linear(rgb(colour)), 0, 1) @ _CONES.T) @ _OKLAB.T
            for colour in (one, other)
        ]
        apart.append(float(np.linalg.norm(labs[0] - labs[1])))
    return min(apart)
