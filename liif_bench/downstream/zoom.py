"""What a classifier still recognises in zoomed crops.

Two families of metrics. `zoom-top1`, `zoom-agreement` and `zoom-kl` take SR as every metric does,
resize it so that its shorter side has 448 pixels, and look at nine crops. The others look at the
views of the protocol's zoom grid (`downstream.views`), which an upsampler renders itself at every
zoom, and keep what was seen of each view in the table `views`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import crop, resize

from liif_bench.downstream import CLASSIFIERS, ONE_CROP, VIEWS
from liif_bench.downstream.classifiers import Classifier, load_classifier, title
from liif_bench.downstream.views import (
    CROP,
    GRID,
    View,
    anchors,
    grid,
    views_of_answer,
    views_of_truth,
    zoomed_size,
)
from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol

SHORTER_SIDE = 448

_BATCH = 32


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
    zoomed_size((image.shape[1], image.shape[2]), shorter)
    zoomed = resize(image, [shorter], InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)
    height, width = zoomed.shape[1:]
    return torch.stack(
        [
            crop(zoomed, y - size // 2, x - size // 2, size, size)
            for y in anchors(height)
            for x in anchors(width)
        ]
    )


@dataclass(frozen=True)
class ClassifierMetric:
    """What all metrics share that ask a classifier: the one that the protocol names."""

    device: str = "cpu"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the classifier's registry id, where it has one."""
        return CLASSIFIERS.parse(protocol.zoom.classifier)[0].weights

    def identify(self, protocol: Protocol) -> Mapping[str, str]:
        """Return the hash of a classifier that is not in the registry; see `Identified`."""
        if self.needs(protocol):
            return {}
        return {protocol.zoom.classifier: self.classifier(protocol).sha256}

    def classifier(self, protocol: Protocol) -> Classifier:
        """Return the classifier that a protocol names, loaded once."""
        return load_classifier(protocol.zoom.classifier, self.device)

    def check_label(self, case: Case) -> None:
        """Refuse an item of which nothing can be right.

        Raises:
            NotApplicableError: It has no label, or none that the classifier knows.
        """
        if not case.labels:
            raise NotApplicableError("the item has no label")
        if not right_classes(case, self.classifier(case.protocol)):
            raise NotApplicableError("the classifier knows no label of the item")


class _NineCrops(ClassifierMetric):
    """The classifier's opinion on nine crops of whole SR at one zoom."""

    def variant(self, protocol: Protocol) -> str:
        """Name the classifier and the crops."""
        crops = f"{GRID}x{GRID} crops of {CROP} at {SHORTER_SIDE}"
        return f"{title(protocol.zoom.classifier)}, {crops}"

    def opinion(self, case: Case, of: Case | Output) -> Tensor:
        """Return `(9, 1000)` log-probabilities on the crops of HR or of SR, computed once."""
        image = of.hr if isinstance(of, Case) else of.sr

        def look() -> Tensor:
            return self.classifier(case.protocol).log_probabilities(zoom_crops(image))

        return of.memo.once(("zoom crops", case.protocol.zoom.classifier), look)


class ZoomTop1(_NineCrops):
    """Share of the crops whose most likely class is one of the item's labels."""

    name = "zoom-top1"
    higher_is_better = True

    def score(self, case: Case, output: Output) -> float:
        """Measure: a share in [0, 1]."""
        if not case.labels:
            raise NotApplicableError("the item has no label")
        wnids = self.classifier(case.protocol).wnids
        top = self.opinion(case, output).argmax(dim=1).tolist()
        return sum(wnids[index] in case.labels for index in top) / len(top)


class ZoomAgreement(_NineCrops):
    """Share of the crops whose most likely class is the same for SR and HR."""

    name = "zoom-agreement"
    higher_is_better = True

    def score(self, case: Case, output: Output) -> float:
        """Measure: a share in [0, 1]."""
        same = self.opinion(case, output).argmax(dim=1) == self.opinion(case, case).argmax(dim=1)
        return float(same.double().mean())


class ZoomKl(_NineCrops):
    """Kullback-Leibler divergence KL(HR || SR) of the class probabilities, mean over the crops."""

    name = "zoom-kl"
    higher_is_better = False

    def score(self, case: Case, output: Output) -> float:
        """Measure: nats, 0 for equal opinions."""
        hr, sr = self.opinion(case, case), self.opinion(case, output)
        return float(_divergence(hr, sr).mean())


def _divergence(hr: Tensor, sr: Tensor) -> Tensor:
    """Return KL(HR || SR) in nats, `(N,)` float64, of log-probabilities `(N, classes)`."""
    hr, sr = hr.double(), sr.double()
    return (hr.exp() * (hr - sr)).sum(dim=1)


@dataclass(frozen=True)
class Seen:
    """What a classifier saw in the views of a grid.

    Attributes:
        views: The views.
        sr: `(N, 1000)` log-probabilities on the views of SR.
        hr: The same of HR.
        right: Indices of the labels among the classes.
    """

    views: tuple[View, ...]
    sr: Tensor
    hr: Tensor
    right: tuple[int, ...]

    @cached_property
    def ranks(self) -> Tensor:
        """`(N,)`: 1 + the number of classes that are more likely than the likeliest right one."""
        return ranks(self.sr, self.right)

    @cached_property
    def agrees(self) -> Tensor:
        """`(N,)` bool: whether the most likely class of SR is that of HR."""
        return self.sr.argmax(dim=1) == self.hr.argmax(dim=1)

    @cached_property
    def divergence(self) -> Tensor:
        """`(N,)` float64: KL(HR || SR) in nats."""
        return _divergence(self.hr, self.sr)

    def within(self, places: int) -> Tensor:
        """Return `(N,)` bool: whether a right class is among the first `places`."""
        return self.ranks <= places

    def one_crop(self) -> int:
        """Return the place of the one-crop view.

        Raises:
            NotApplicableError: It is not part of the grid.
        """
        for place, view in enumerate(self.views):
            if view.one_crop:
                return place
        raise NotApplicableError(f"the zoom grid has no size {ONE_CROP}")

    def centre(self) -> Tensor:
        """Return `(N,)` bool: whether a view is cut around the middle tile."""
        return torch.tensor([view.centre for view in self.views])


@dataclass(frozen=True)
class ViewMetric(ClassifierMetric):
    """A number made of what a classifier saw in the views of the protocol's zoom grid.

    Attributes:
        device: Where the classifier runs.
        name: As in tables and records.
        reduce: Makes the number.
        labelled: Whether it has a meaning only for items whose label the classifier knows.
        higher_is_better: Direction.
    """

    name: str = ""
    reduce: Callable[[Seen], float] = lambda seen: float(len(seen.views))
    labelled: bool = True
    higher_is_better: bool = True
    windows_only = True
    table = VIEWS

    def variant(self, protocol: Protocol) -> str:
        """Name the classifier and the grid."""
        sizes = protocol.zoom.sizes
        listed = " ".join(map(str, sizes))
        shown = listed if len(sizes) <= 6 else f"{len(sizes)} sizes {min(sizes)} to {max(sizes)}"
        return f"{title(protocol.zoom.classifier)}, {GRID}x{GRID} views of {CROP} at {shown}"

    def score(self, case: Case, output: Output) -> float:
        """Measure: a share in [0, 1], or nats."""
        if self.labelled:
            self.check_label(case)
        return float(self.reduce(self.look(case, output)))

    def details(self, case: Case, output: Output) -> list[dict[str, Any]]:
        """Return one row per view; see `Detailed`.

        Columns: size, row and column of the view; rank of the likeliest right label (None where
        there is none); WordNet id of the most likely class, and its probability; whether it is that
        of HR; KL(HR || SR) in nats.
        """
        seen = self.look(case, output)
        wnids = self.classifier(case.protocol).wnids
        likelihood, best = seen.sr.double().exp().max(dim=1)
        ranks = seen.ranks.tolist() if seen.right else [None] * len(seen.views)
        columns = zip(
            seen.views,
            ranks,
            best.tolist(),
            likelihood.tolist(),
            seen.agrees.tolist(),
            seen.divergence.tolist(),
            strict=True,
        )
        return [
            {
                "size": view.size,
                "row": view.row,
                "column": view.column,
                "rank": rank,
                "top": wnids[index],
                "confidence": confidence,
                "agrees": agrees,
                "kl": divergence,
            }
            for view, rank, index, confidence, agrees, divergence in columns
        ]

    def look(self, case: Case, output: Output) -> Seen:
        """Return what the classifier sees; every distinct view is classified once per case."""
        rules = case.protocol.zoom
        key = ("zoom views", rules)

        def seen() -> Seen:
            classifier = self.classifier(case.protocol)
            hr = case.memo.once(
                key, lambda: opinions(case, classifier, views_of_truth(case, rules.sizes))
            )
            sr = opinions(case, classifier, views_of_answer(case, output, rules.sizes))
            return Seen(grid(rules.sizes), sr, hr, right_classes(case, classifier))

        return output.memo.once(key, seen)


def right_classes(case: Case, classifier: Classifier) -> tuple[int, ...]:
    """Return the places among the classes of a case's labels, of those that are known."""
    places = {wnid: place for place, wnid in enumerate(classifier.wnids)}
    return tuple(places[label] for label in case.labels if label in places)


def ranks(opinions: Tensor, right: Sequence[int]) -> Tensor:
    """Return `(N,)`: 1 + the number of classes that are more likely than the likeliest right one.

    Args:
        opinions: `(N, 1000)` log-probabilities.
        right: Places of the right classes, at least one.
    """
    best = opinions[:, list(right)].amax(dim=1, keepdim=True)
    return 1 + (opinions > best).sum(dim=1)


def opinions(case: Case, classifier: Classifier, views: Iterable[Tensor]) -> Tensor:
    """Return `(N, 1000)` log-probabilities on views; each distinct one is classified once per case.

    Args:
        case: Remembers what has been seen.
        classifier: Asked in batches.
        views: `(n, 3, 224, 224)` each, N together.
    """
    known: dict[bytes, Tensor] = case.memo.once(("looked at", case.protocol.zoom.classifier), dict)
    order: list[bytes] = []
    waiting: dict[bytes, Tensor] = {}
    for some in views:
        for view in some:
            digest = hashlib.blake2b(view.numpy().tobytes(), digest_size=16).digest()
            order.append(digest)
            if digest not in known:
                waiting[digest] = view
        if len(waiting) >= _BATCH:
            _classify(classifier, waiting, known)
    if waiting:
        _classify(classifier, waiting, known)
    return torch.stack([known[digest] for digest in order])


def _classify(
    classifier: Classifier, waiting: dict[bytes, Tensor], known: dict[bytes, Tensor]
) -> None:
    """Move views from what waits to what is known."""
    opinions = classifier.log_probabilities(torch.stack(list(waiting.values())))
    known.update(zip(waiting, opinions, strict=True))
    waiting.clear()


def _metric(
    name: str,
    reduce: Callable[[Seen], float],
    device: str,
    *,
    labelled: bool = True,
    higher_is_better: bool = True,
) -> ViewMetric:
    return ViewMetric(device, name, reduce, labelled, higher_is_better)


def _share(which: Tensor) -> float:
    return float(which.double().mean())


one_top1 = partial(_metric, "zoom-one-top1", lambda seen: float(seen.within(1)[seen.one_crop()]))
one_top5 = partial(_metric, "zoom-one-top5", lambda seen: float(seen.within(5)[seen.one_crop()]))
mean_top1 = partial(_metric, "zoom-mean-top1", lambda seen: _share(seen.within(1)))
mean_top5 = partial(_metric, "zoom-mean-top5", lambda seen: _share(seen.within(5)))
centre_any = partial(
    _metric, "zoom-centre-any", lambda seen: float(seen.within(1)[seen.centre()].any())
)
grid_any = partial(_metric, "zoom-grid-any", lambda seen: float(seen.within(1).any()))
mean_agreement = partial(
    _metric, "zoom-mean-agreement", lambda seen: _share(seen.agrees), labelled=False
)
mean_kl = partial(
    _metric,
    "zoom-mean-kl",
    lambda seen: float(seen.divergence.mean()),
    labelled=False,
    higher_is_better=False,
)
