"""A small classifier: multinomial logistic regression on features, and its macro-F1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

PENALTY = 0.01


@dataclass(frozen=True)
class Linear:
    """A linear classifier.

    Attributes:
        weights: `(C, K)`.
        offsets: `(K,)`.
    """

    weights: Floats
    offsets: Floats

    def scores(self, features: Floats) -> Floats:
        """Return the logits of features `(n, C)`, `(n, K)`."""
        logits: Floats = features @ self.weights + self.offsets
        return logits

    def classes(self, features: Floats) -> Ints:
        """Return the most likely class of features `(n, C)`, `(n,)`."""
        likely: Ints = self.scores(features).argmax(axis=1)
        return likely


def train(features: Floats, labels: Ints, classes: int, penalty: float = PENALTY) -> Linear:
    """Fit a multinomial logistic regression by L-BFGS, from zero: the same every time.

    The training set is moved to mean 0 and divided by one number, so that its mean squared length
    is 1 whatever the encoder. What is minimised is the mean cross-entropy plus `penalty` / 2 times
    the sum of the squared weights; the offsets are free. The weights lie in the span of the
    training set, where they are sought.

    Args:
        features: `(n, C)`, not all equal.
        labels: `(n,)` in 0 ... `classes` - 1.
        classes: K.
        penalty: Above 0.
    """
    mean = features.mean(axis=0)
    away = features - mean
    unit = np.sqrt((away**2).sum(axis=1).mean())
    left, lengths, axes = np.linalg.svd(away / unit, full_matrices=False)
    points = left * lengths
    truth = np.eye(classes)[labels]
    count, span = points.shape

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights, offsets = flat[: span * classes].reshape(span, classes), flat[span * classes :]
        logits = points @ weights + offsets
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        totals = powers.sum(axis=1, keepdims=True)
        excess = (powers / totals - truth) / count
        surprise = np.log(totals[:, 0]) - (logits * truth).sum(axis=1)
        value = surprise.mean() + penalty / 2 * (weights**2).sum()
        slope = np.concatenate(
            [(points.T @ excess + penalty * weights).ravel(), excess.sum(axis=0)]
        )
        return float(value), slope

    found = minimize(loss, np.zeros((span + 1) * classes), jac=True, method="L-BFGS-B")
    inner = found.x[: span * classes].reshape(span, classes)
    weights = axes.T @ inner / unit
    return Linear(weights, found.x[span * classes :] - mean @ weights)


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
