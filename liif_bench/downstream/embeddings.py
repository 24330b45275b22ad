"""An encoder's features pooled over an image: what a small classifier may be trained on.

The metric is the cosine between the pooled features of SR and of HR. The table `embeddings` keeps
the features themselves, so that what reads records can train on them without the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from liif_bench.downstream import EMBEDDINGS
from liif_bench.downstream.features import Compared, FeatureMetric
from liif_bench.metrics.base import Case, Output


def pooled(features: Tensor) -> Tensor:
    """Return the mean token of a grid.

    Args:
        features: `(C, rows, columns)`.

    Returns:
        `(C,)` float64.
    """
    return features.double().mean(dim=(1, 2))


def _cosine(compared: Compared) -> float:
    """Cosine of the pooled features of SR and HR, in [-1, 1]; 1 where they are equal."""
    sr, hr = pooled(compared.sr), pooled(compared.hr)
    return 1.0 if bool((sr == hr).all()) else float(F.cosine_similarity(sr, hr, dim=0, eps=1e-12))


@dataclass(frozen=True)
class Embedding(FeatureMetric):
    """`embedding:ENCODER`; keeps the pooled features of SR."""

    table = EMBEDDINGS

    def details(self, case: Case, output: Output) -> list[dict[str, Any]]:
        """Return one row; see `Detailed`.

        Columns: encoder; labels, the WordNet ids of the image with spaces between them; embedding,
        the pooled features of SR, one number per channel, rounded to float32.
        """
        compared = self.compared(case, output)
        return [
            {
                "encoder": self.encoder,
                "labels": " ".join(case.labels),
                "embedding": pooled(compared.sr).float().tolist(),
            }
        ]


def embedding(device: str, encoder: str) -> Embedding:
    """Make the metric.

    Args:
        device: Where the encoder runs.
        encoder: Name of the encoder.
    """
    says = "cosine of features, mean over tokens"
    return Embedding("embedding", _cosine, says, True, device, encoder)
