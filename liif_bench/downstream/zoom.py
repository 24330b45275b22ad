"""What a classifier still recognises in zoomed crops.

The crops are those of "ImageNet-Hard" (arXiv 2304.05538) at one of its sizes: the image is
resized so that its shorter side has 448 pixels, and 224x224 crops are cut around the centres of
a 3x3 grid of tiles, zero padded where they reach over the edge. HR and SR go through the same
steps, so that what differs is the image.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import crop, resize

from liif_bench.downstream.classifiers import TIMM_NAMES, load_classifier
from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol

CLASSIFIER = "efficientnet-lite0"
SHORTER_SIDE = 448
CROP = 224
GRID = 3
MOST_ELONGATED = 20


def anchors(length: int, grid: int = GRID) -> list[int]:
    """Return the tile centres along one axis: ``tile = length // grid; i * tile + tile // 2``."""
    tile = length // grid
    return [i * tile + tile // 2 for i in range(grid)]


def zoom_crops(image: Tensor, shorter: int = SHORTER_SIDE, size: int = CROP) -> Tensor:
    """Cut the zoomed crops of an image.

    Args:
        image: `(3, H, W)` RGB in [0, 1].
        shorter: Pixels of the shorter side after an antialiased bicubic resize.
        size: Side of a crop in pixels.

    Returns:
        `(9, 3, size, size)`, rows before columns, in [0, 1]; black beyond the edges.

    Raises:
        LiifBenchError: The image is so narrow that its resized version would be huge.
    """
    if max(image.shape[1:]) > MOST_ELONGATED * min(image.shape[1:]):
        raise LiifBenchError(
            f"{image.shape[2]}x{image.shape[1]} pixels are too elongated for zoomed crops:"
            f" at most {MOST_ELONGATED}:1"
        )
    zoomed = resize(image, [shorter], InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
    height, width = zoomed.shape[1:]
    return torch.stack(
        [
            crop(zoomed, y - size // 2, x - size // 2, size, size)
            for y in anchors(height)
            for x in anchors(width)
        ]
    )


class _Zoom:
    """What the three metrics share: the classifier's opinion on the crops of an image."""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def variant(self, protocol: Protocol) -> str:
        """Name the classifier and the crops."""
        del protocol
        return f"{TIMM_NAMES[CLASSIFIER]}, {GRID}x{GRID} crops of {CROP} at {SHORTER_SIDE}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the classifier's registry id."""
        del protocol
        return (CLASSIFIER,)

    def opinion(self, of: Case | Output) -> Tensor:
        """Return `(9, 1000)` log-probabilities on the crops of HR or of SR, computed once."""
        image = of.hr if isinstance(of, Case) else of.sr

        def look() -> Tensor:
            return load_classifier(CLASSIFIER, self.device).log_probabilities(zoom_crops(image))

        return of.memo.once(("zoom crops", CLASSIFIER), look)


class ZoomTop1(_Zoom):
    """Share of the crops whose most likely class is one of the item's labels."""

    name = "zoom-top1"
    higher_is_better = True

    def score(self, case: Case, output: Output) -> float:
        """Measure: a share in [0, 1]."""
        if not case.labels:
            raise NotApplicableError("the item has no label")
        wnids = load_classifier(CLASSIFIER, self.device).wnids
        top = self.opinion(output).argmax(dim=1).tolist()
        return sum(wnids[index] in case.labels for index in top) / len(top)


class ZoomAgreement(_Zoom):
    """Share of the crops whose most likely class is the same for SR and HR."""

    name = "zoom-agreement"
    higher_is_better = True

    def score(self, case: Case, output: Output) -> float:
        """Measure: a share in [0, 1]."""
        same = self.opinion(output).argmax(dim=1) == self.opinion(case).argmax(dim=1)
        return float(same.double().mean())


class ZoomKl(_Zoom):
    """Kullback-Leibler divergence KL(HR || SR) of the class probabilities, mean over the crops."""

    name = "zoom-kl"
    higher_is_better = False

    def score(self, case: Case, output: Output) -> float:
        """Measure: nats, 0 for equal opinions."""
        hr, sr = self.opinion(case).double(), self.opinion(output).double()
        return float((hr.exp() * (hr - sr)).sum(dim=1).mean())
