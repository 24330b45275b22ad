"""Upsamplers: everything that can enlarge an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from liif_bench.registry import Entry, Registry

if TYPE_CHECKING:
    from liif_bench.upsamplers.base import Options, Upsampler

TRUTH = "hr"
"""Name of the ground truth among the upsamplers."""

_KERNELS = "liif_bench.upsamplers.interpolation"
_NCNN = "liif_bench.upsamplers.ncnn"

UPSAMPLERS = Registry(
    "model",
    "liif_bench.upsamplers",
    [
        Entry(TRUTH, "liif_bench.upsamplers.truth:hr", "the ground truth itself: the ceiling"),
        Entry("nearest", f"{_KERNELS}:nearest", "nearest neighbour"),
        Entry("bilinear", f"{_KERNELS}:bilinear", "bilinear interpolation (Pillow, 8-bit)"),
        Entry("bicubic", f"{_KERNELS}:bicubic", "bicubic interpolation (Pillow, 8-bit)"),
        Entry("lanczos", f"{_KERNELS}:lanczos", "Lanczos-3 interpolation (Pillow, 8-bit)"),
        Entry(
            "liif-edsr",
            "liif_bench.upsamplers.liif:liif_edsr",
            "LIIF with the EDSR-baseline encoder, trained on x1 to x4; official weights or yours,"
            " whole or with a part switched off, as liif-edsr:ensemble=off",
            "CHECKPOINT",
            weights=("liif-edsr",),
        ),
        Entry(
            "rdn-liif",
            "liif_bench.upsamplers.liif:rdn_liif",
            "LIIF with the RDN encoder, trained on x1 to x4; your checkpoint",
            "CHECKPOINT",
            argument_required=True,
        ),
        Entry(
            "metasr-edsr",
            "liif_bench.upsamplers.metasr:metasr_edsr",
            "Meta-SR with the EDSR-baseline encoder, trained on x1 to x4; your checkpoint",
            "CHECKPOINT",
            argument_required=True,
        ),
        Entry(
            "metasr-rdn",
            "liif_bench.upsamplers.metasr:metasr_rdn",
            "Meta-SR with the RDN encoder, trained on x1 to x4; your checkpoint",
            "CHECKPOINT",
            argument_required=True,
        ),
        Entry(
            "liif-style",
            "liif_bench.upsamplers.liif_style:liif_style",
            "a model of a repository that is built like LIIF's: LTE, SRNO, LINF, ITSRN, forks",
            "PATH?checkpoint=FILE",
            argument_required=True,
            foreign="the code of another repository in a process of its own",
        ),
        Entry(
            "srmdnf",
            f"{_NCNN}:srmdnf",
            "SRMD without noise at x2, x3 and x4, then bicubic",
            "passes=N",
            requires=("ncnn",),
            weights=tuple(f"srmdnf-x{n}.{kind}" for n in (2, 3, 4) for kind in ("param", "bin")),
        ),
        Entry(
            "realesrgan-x4plus",
            f"{_NCNN}:realesrgan_x4plus",
            "Real-ESRGAN at x4, then bicubic",
            "passes=N",
            requires=("ncnn",),
            weights=("realesrgan-x4plus.param", "realesrgan-x4plus.bin"),
        ),
        Entry(
            "ncnn",
            f"{_NCNN}:ncnn_files",
            "your .param and .bin files, run by ncnn at their scale, then bicubic",
            "PATH?scale=N",
            argument_required=True,
            requires=("ncnn",),
        ),
        Entry(
            "spandrel",
            "liif_bench.upsamplers.spandrel:spandrel_file",
            "your checkpoint of any architecture of spandrel, then bicubic",
            "PATH",
            argument_required=True,
            requires=("spandrel",),
            extra="spandrel",
        ),
        Entry(
            "folder",
            "liif_bench.upsamplers.folder:folder",
            "SR images made elsewhere, as PATH/baby_x4.png or PATH?pattern={scale}/{item}.png",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "command",
            "liif_bench.upsamplers.command:command",
            "a program, run for each case: PROGRAM {input} {output}; also {scale} {width} {height}",
            "ARGV",
            argument_required=True,
            foreign="a program of yours",
        ),
    ],
    members=("name", "training_scales", "weights", "settings", "encode"),
)


def load_upsampler(
    spec: str, options: Options | None = None, notice: Callable[[str], None] = lambda _: None
) -> Upsampler:
    """Load an upsampler with its weights.

    Args:
        spec: ``name`` or ``name:argument``, for example ``liif-edsr`` or
            ``liif-edsr:my-checkpoint.pth``.
        options: Device, precision and switches; the CPU in float32 where None.
        notice: Told in one line before somebody else's code is run.

    Returns:
        The upsampler.

    Raises:
        LiifBenchError: Unknown name; what it requires is not installed; weights missing, tampered
            with or of another architecture; a plug-in that does not do what a model must.
    """
    from liif_bench.upsamplers.base import Options

    entry, _ = UPSAMPLERS.parse(spec)
    if entry.foreign:
        notice(f"{spec}: this model runs {entry.foreign}, with your rights")
    upsampler: Upsampler = UPSAMPLERS.make(spec, options or Options())
    return upsampler


__all__ = ["UPSAMPLERS", "load_upsampler"]
