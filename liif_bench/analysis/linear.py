"""A small classifier: multinomial logistic regression on features, and its macro-F1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PENALTY = 0.01
SLOPE = 1e-5
"""The search ends where no slope is steeper than that."""

_NOTHING = 1e-6  # an axis along which a training set is so much shorter is none


@dataclass(frozen=True)
class Linear:
    """Linear classifiers, one for each training set.

    Attributes:
        weights: `(..., C, K)`.
        offsets: `(..., K)`.
    """

    weights: Floats
    offsets: Floats

    def scores(self, features: Floats) -> Floats:
        """Return the logits of features `(n, C)`, `(..., n, K)`."""
        logits: Floats = features @ self.weights + self.offsets[..., None, :]
        return logits

    def classes(self, features: Floats) -> Ints:
        """Return the most likely class of features `(n, C)`, `(..., n)`."""
        likely: Ints = self.scores(features).argmax(axis=-1)
        return likely


def train(features: Floats, labels: Ints, classes: int, penalty: float = PENALTY) -> Linear:
    """Fit multinomial logistic regressions by L-BFGS, from zero: the same every time.

    A training set is moved to mean 0 and divided by one number, so that its mean squared length is
    1 whatever the encoder. What is minimised is the mean cross-entropy plus `penalty` / 2 times the
    sum of the squared weights; the offsets are free. The weights lie in the span of the training
    set, where they are sought. Several sets are one search, for their losses share nothing.

    Args:
        features: `(..., n, C)`, those of a set not all equal.
        labels: `(..., n)` in 0 ... `classes` - 1.
        classes: K.
        penalty: Above 0.
    """
    mean = features.mean(axis=-2, keepdims=True)
    away = features - mean
    unit = np.sqrt((away**2).sum(axis=-1).mean(axis=-1))[..., None, None]
    scaled = away / unit
    # coordinates along the principal axes, of which there are no more than images
    squares, left = np.linalg.eigh(scaled @ scaled.swapaxes(-1, -2))
    lengths = np.sqrt(squares.clip(0))[..., None, :]
    there = lengths > _NOTHING * lengths.max(axis=-1, keepdims=True)
    points = np.where(there, left * lengths, 0)
    axes = scaled.swapaxes(-1, -2) @ np.divide(left, lengths, out=np.zeros_like(left), where=there)
    turned = points.swapaxes(-1, -2)
    truth = np.eye(classes)[labels]
    *sets, count, span = points.shape
    shape = (*sets, span + 1, classes)

    def loss(flat: Floats) -> tuple[float, Floats]:
        both = flat.reshape(shape)
        weights, offsets = both[..., :span, :], both[..., span:, :]
        logits = points @ weights + offsets
        logits -= logits.max(axis=-1, keepdims=True)
        powers = np.exp(logits)
        totals = powers.sum(axis=-1, keepdims=True)
        excess = (powers / totals - truth) / count
        surprise = np.log(totals).sum() - (logits * truth).sum()
        value = surprise / count + penalty / 2 * (weights**2).sum()
        slopes = (turned @ excess + penalty * weights, excess.sum(axis=-2, keepdims=True))
        return float(value), np.concatenate(slopes, axis=-2).ravel()

    found = minimize(
        loss,
        np.zeros(math.prod(shape)),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": SLOPE, "ftol": 0, "maxiter": 1000},
    )
    both = found.x.reshape(shape)
    weights = axes @ both[..., :span, :] / unit
    return Linear(weights, (both[..., span:, :] - mean @ weights)[..., 0, :])


def macro_f1(truth: Ints, said: Ints, classes: int) -> float:
    """Return the mean over classes of F1 = 2 TP / (2 TP + FP + FN).

    A class that is neither there nor said has an F1 of 0.

    Args:
        truth: `(n,)` in 0 ... `classes` - 1.
        said: `(n,)` of the same.
        classes: K.
    """
    hits = np.bincount(truth[truth == said], minlength=classes)
    both = np.bincount(truth, minlength=classes) + np.bincount(said, minlength=classes)
    return float((2 * hits / np.maximum(both, 1)).mean())
