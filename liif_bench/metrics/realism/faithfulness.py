"""Faithfulness to the input: does SR say what LR says, and is what it adds right?

Two questions are asked of LR alone. `lr-psnr` degrades SR as the protocol makes LR and compares.
`lr-excess` is what SR adds on which LR has no say. Two images with the same LR differ by what the
degradation D removes, so any change falls into two parts at right angles: its projection P onto the
rows of D, which LR determines, and the rest.

The third question takes HR: is the change against a bicubic enlargement of LR right? Each pixel is
an improvement, an omission or a hallucination, after OpenSR-test (C. Aybar et al., A Comprehensive
Benchmark for Optical Remote Sensing Image Super-Resolution, IEEE GRSL 2024,
doi:10.1109/LGRS.2024.3401394; formulas from its documentation, constants from its release 1.3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.linalg import splu
from torch import Tensor

from liif_bench.degrade import GENERATORS
from liif_bench.errors import NotApplicableError
from liif_bench.images import to_uint8
from liif_bench.imresize import axis_weights
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.distortion import psnr
from liif_bench.metrics.measure import Measure
from liif_bench.protocol import Generator, Protocol
from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.bicubic import taps
from liif_bench.upsamplers.interpolation import bicubic

Array = npt.NDArray[np.float64]

COUNTED_ABOVE = 0.75
"""Quantile of the distance of bicubic to HR: pixels count where any distance is above it."""

SHARPNESS = 0.05
"""How far the three territories bend into each other: gamma of OpenSR-test."""


@dataclass(frozen=True)
class Axis:
    """How LR is made along one axis of an image.

    Attributes:
        matrix: `(after, before)`: the degradation of a column of pixels.
        solve: Applies the inverse of `matrix @ matrix.T` to `(after, n)`.
    """

    matrix: Any  # a sparse array: scipy ships no types
    solve: Callable[[Array], Array]


def axis(before: int, after: int, generator: Generator) -> Axis:
    """Return how LR is made along one axis.

    Args:
        before: Length of HR in pixels.
        after: Length of LR in pixels.
        generator: How LR is made. The rounding to 8 bits within it is left out.
    """
    if generator == "matlab-bicubic-uint8":
        matrix = csr_array(axis_weights(before, after))
    else:  # PyTorch's filter is Pillow's
        along = taps(before, after, 0.0, 1.0)
        rows = np.repeat(np.arange(after), along.index.shape[1])
        weights = along.weight.double().numpy().ravel()
        matrix = csr_array((weights, (rows, along.index.numpy().ravel())), (after, before))
    return Axis(matrix, splu((matrix @ matrix.T).tocsc()).solve)


def energy_beyond(plane: Array, down: Axis, across: Axis) -> float:
    """Energy of the part of a plane that its LR says nothing of, `|(I - P) x|^2`.

    With D = (down, across) and y = D x this is `|x|^2 - y^T (D D^T)^-1 y`: as P projects at right
    angles, nothing of HR's size has to be solved for.

    Args:
        plane: `(H, W)`.
        down: Of the columns.
        across: Of the rows.
    """
    low = across.matrix @ (down.matrix @ plane).T
    inverse = down.solve(np.ascontiguousarray(across.solve(low).T))
    return max(0.0, float((plane**2).sum() - (low.T * inverse).sum()))  # rounding alone goes below


def excess(case: Case, sr: Tensor, reference: Tensor) -> float:
    """Energy that SR adds to a bicubic enlargement and that LR has no say on, of LR's energy.

    `mean |(I - P)(SR - ref)|^2 / mean |LR - mean LR|^2`, means over pixels and channels, the mean
    of LR by channel. LR's energy is the same for all upsamplers, so anything that lies in P can be
    added to SR without moving the number.

    Args:
        case: Holds LR and says how it is made.
        sr: `(3, H, W)` in [0, 1].
        reference: LR enlarged by bicubic interpolation, the same shape.

    Returns:
        0 for the enlargement, and for all that LR determines of a change to it.

    Raises:
        NotApplicableError: LR is of one colour.
    """
    lr = case.lr.double()
    spread = float((lr - lr.mean(dim=(1, 2), keepdim=True)).square().mean())
    if spread == 0:
        raise NotApplicableError("LR is of one colour: it has no energy to compare with")
    sides = zip(case.size, case.lr.shape[1:], strict=True)
    generator = case.protocol.lr.generator
    down, across = case.memo.once(
        "axes of the degradation", lambda: tuple(axis(*pair, generator) for pair in sides)
    )
    added = (sr.double() - reference.double()).cpu().numpy()
    return sum(energy_beyond(plane, down, across) for plane in added) / added.size / spread


def degraded(case: Case, sr: Tensor) -> Tensor:
    """Degrade SR, rounded to 8 bits, as the protocol makes LR of HR.

    Returns:
        `(3, h, w)` float32 in [0, 1], the size of LR.
    """
    height, width = case.lr.shape[1:]
    return GENERATORS[case.protocol.lr.generator](to_uint8(sr), (height, width))


@dataclass(frozen=True)
class Shares:
    """How the pixels that count divide up.

    Attributes:
        improvement: Share of those nearest to HR.
        omission: Share of those nearest to bicubic.
        hallucination: Share of those far from both. The three add up to 1.
    """

    improvement: float
    omission: float
    hallucination: float


def shares(sr: Tensor, hr: Tensor, reference: Tensor) -> Shares:
    """Divide the pixels of SR into improvement, omission and hallucination.

    With the mean absolute difference over channels as distance d of a pixel,

        d_im = d(SR, HR) / d(ref, HR)     d_om = d(SR, ref) / d(ref, HR)     H = d_im + d_om - 1
        improvement   d_im + d_om (1 - exp(-gamma H))
        omission      d_om + d_im (1 - exp(-gamma H))
        hallucination exp(-gamma d_im d_om)

    and a pixel is of the kind whose number is least (OpenSR-test's "percent"). By the triangle
    inequality H >= 0. With gamma = 0.05 a pixel is a hallucination where SR is about as far from
    both as they are from each other, or farther. Pixels count where any of the three distances
    lies above the third quartile of d(ref, HR): elsewhere there was nothing to add, and nothing
    was added.

    Args:
        sr: `(3, H, W)` in [0, 1].
        hr: The same shape.
        reference: LR enlarged by interpolation, the same shape.

    Raises:
        NotApplicableError: No pixel counts.
    """
    gap, wrong, moved = (
        (one.double() - other.double()).abs().mean(dim=0).cpu().numpy()
        for one, other in ((reference, hr), (sr, hr), (sr, reference))
    )
    rank = max(1, int(COUNTED_ABOVE * gap.size))
    least = np.partition(gap.ravel(), rank - 1)[rank - 1]
    counted = np.maximum(np.maximum(gap, wrong), moved) > least
    if not counted.any():
        raise NotApplicableError("nothing distinguishes SR, HR and a bicubic enlargement of LR")
    gap, wrong, moved = (distance[counted] for distance in (gap, wrong, moved))
    # Where bicubic meets HR any change is a hallucination; the ratio is then as good as infinite.
    d_im, d_om = (distance / np.maximum(gap, 1e-9) for distance in (wrong, moved))
    bent = 1 - np.exp(-SHARPNESS * (d_im + d_om - 1))
    numbers = np.stack([d_im + d_om * bent, d_om + d_im * bent, np.exp(-SHARPNESS * d_im * d_om)])
    kinds = np.bincount(numbers.argmin(axis=0), minlength=3) / len(gap)
    return Shares(*map(float, kinds))


def enlarged(case: Case) -> Tensor:
    """Return Pillow's bicubic enlargement of LR to the size of HR, made once per case."""
    return case.memo.once("bicubic", lambda: bicubic(Options()).encode(case.lr).render(case.size))


def _shares(case: Case, output: Output) -> Shares:
    return output.memo.once("shares", lambda: shares(output.sr, case.hr, enlarged(case)))


@dataclass(frozen=True)
class DegradedMeasure(Measure):
    """A measure that degrades as the protocol does, and says how."""

    def variant(self, protocol: Protocol) -> str:
        """Name the unit, the choices and the generator, which stands in for that of LR files."""
        instead = ", for LR files too" if protocol.lr.given else ""
        return f"{self.says}, {protocol.lr.generator}{instead}"


lr_psnr = partial(
    DegradedMeasure,
    name="lr-psnr",
    says="dB, RGB, SR in 8 bits degraded against LR",
    measure=lambda case, output, _: psnr(degraded(case, output.sr), case.lr),
)

lr_excess = partial(
    DegradedMeasure,
    name="lr-excess",
    says="energy added outside the rows of the degradation / LR's energy, RGB",
    measure=lambda case, output, _: excess(case, output.sr, enlarged(case)),
    higher_is_better=False,
)


def _share(kind: str, *, higher_is_better: bool) -> Callable[..., Measure]:
    return partial(
        Measure,
        name=kind,
        says="share of pixels, L1 over RGB, against Pillow's bicubic, gamma 0.05, quartile 3",
        measure=lambda case, output, _: float(getattr(_shares(case, output), kind)),
        higher_is_better=higher_is_better,
    )


improvement = _share("improvement", higher_is_better=True)
omission = _share("omission", higher_is_better=False)
hallucination = _share("hallucination", higher_is_better=False)
