"""A broken LIIF is caught on five images: Set5 at x4, default rules."""

from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F

from liif_bench.analysis.baseline import cells_of
from liif_bench.analysis.gate import Outcome, gate, read_rules
from liif_bench.bench import Bench
from liif_bench.datasets import load_dataset
from liif_bench.evaluate import measure_case, prepare
from liif_bench.metrics import load_metric
from liif_bench.protocol import load_protocol
from liif_bench.records import to_frame
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import FULL, Options

from gates import made_up_snapshot  # isort: skip

PROTOCOL = load_protocol("liif-benchmark")
SCALE = 4.0


@dataclass(frozen=True)
class Changed:
    """LIIF whose input and output are changed."""

    liif: object
    before: object = staticmethod(lambda lr: lr)
    after: object = staticmethod(lambda sr: sr)
    name: str = "liif-edsr"

    training_scales = ((1.0, 4.0),)
    weights = None
    settings = {}  # noqa: RUF012

    def encode(self, lr):
        return ChangedImage(self.liif.encode(self.before(lr)), self.after)


@dataclass(frozen=True)
class ChangedImage:
    image: object
    after: object

    def render(self, size, window=FULL):
        return self.after(self.image.render(size, window))


def half_a_pixel_right(sr):
    return (F.pad(sr[None], (1, 0, 0, 0), mode="replicate")[0, :, :, :-1] + sr) / 2


def bgr(image):
    return image.flip(0)


def smoothed(lr):
    """What a wider kernel would have made of HR: a tenth of each neighbour mixed in."""
    padded = F.pad(lr[None], (1, 1, 1, 1), mode="replicate")
    kernel = torch.tensor([0.1, 0.8, 0.1])
    rows = F.conv2d(padded, kernel.view(1, 1, 3, 1).expand(3, 1, 3, 1), groups=3)
    return F.conv2d(rows, kernel.view(1, 1, 1, 3).expand(3, 1, 1, 3), groups=3)[0]


@pytest.fixture(scope="module")
def measured(reference_data, weights):
    """A function that measures an upsampler on Set5, with LR files or with LR that we make."""
    weights("liif-edsr")
    weights("lpips-alex")
    items = load_dataset(f"paired:{reference_data / 'Set5'}").items
    metrics = tuple(map(load_metric, ("psnr", "ssim", "lpips")))

    def measure(upsampler, protocol=PROTOCOL):
        bench = Bench("r", "s", 1, protocol, (upsampler,), metrics, {}, 0)
        cases = (prepare(bench, item, SCALE) for item in items)
        records = [
            record
            for item, ready in zip(items, cases, strict=True)
            for record in measure_case(bench, "set5", item, SCALE, prepared=ready).records
        ]
        return made_up_snapshot(
            *(
                cell.model_copy(update={"upsampler": "liif-edsr"})
                for cell in cells_of(to_frame(records))
            )
        )

    return measure


@pytest.fixture(scope="module")
def whole(measured):
    """What LIIF as it is measures."""
    return measured(load_upsampler("liif-edsr", Options()))


def variant(argument):
    return load_upsampler(f"liif-edsr:{argument}", Options())


def made(**changes):
    return Changed(load_upsampler("liif-edsr", Options()), **changes)


BROKEN = {
    "ensemble off": lambda: variant("ensemble=off"),
    "half a pixel to the right": lambda: made(after=half_a_pixel_right),
    "BGR input": lambda: made(before=bgr),
    "the cell of x2": lambda: variant("cell=x2"),
    "a wider kernel made LR": lambda: made(before=smoothed),
}


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_liif_fails_on_five_images(measured, whole, fault):
    report = gate(measured(BROKEN[fault]()), whole, read_rules())
    assert not report.passed
    assert report.counts[Outcome.worse] >= 1


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.slow
def test_the_same_liif_passes(measured, whole):
    again = measured(load_upsampler("liif-edsr", replace(Options(), memory=2**26)))
    report = gate(again, whole, read_rules())
    assert report.passed
    assert set(report.counts) == {Outcome.same}
