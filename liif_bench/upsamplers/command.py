"""``command:ARGV``: a program that is run once for each case, with files in and out."""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.images import (
    RgbArray,
    read_kind,
    read_rgb,
    read_size,
    to_tensor,
    to_uint8,
    write_rgb,
)
from liif_bench.upsamplers.base import Options, Request, TrainingScales, Weights, check_lr
from liif_bench.upsamplers.finished import FinishedImage
from liif_bench.upsamplers.options import (
    fill,
    split_options,
    table_name,
    training_scales,
    whole_number,
)
from liif_bench.upsamplers.processes import Ended, describe_status, run_limited

DEFAULT_SECONDS = 600
_MOST_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Command:
    """A program as an upsampler.

    Attributes:
        name: As in tables and records.
        program: Path of the program.
        arguments: Its arguments, with places for ``{input}``, ``{output}``, ``{scale}``,
            ``{width}`` and ``{height}``.
        seconds: Most time that it may take for a case.
        training_scales: Scales that its network was trained on; None where unknown.
        weights: Identity of program, arguments and the files that they name.
        settings: For the manifest.
    """

    name: str
    program: str
    arguments: tuple[str, ...]
    seconds: int
    training_scales: TrainingScales | None
    weights: Weights
    settings: Mapping[str, str]

    def encode(self, lr: Tensor) -> FinishedImage:
        """Refuse: the program has to be told a size.

        Raises:
            LiifBenchError: Always.
        """
        del lr
        raise LiifBenchError(
            f"'{self.program}' is run for a size, which LR alone does not say: use it in a run"
        )

    def encode_case(self, request: Request) -> FinishedImage:
        """Run the program on LR, rounded to 8 bits; see `CaseUpsampler.encode_case`.

        Raises:
            LiifBenchError: It cannot be started, fails, takes too long, or does not write a PNG
                file of three channels in the size of HR.
        """
        check_lr(request.lr)
        height, width = request.size
        with TemporaryDirectory(prefix="liif-bench-", ignore_cleanup_errors=True) as place:
            source, target = Path(place) / "lr.png", Path(place) / "sr.png"
            write_rgb(to_uint8(request.lr), source)
            values = {
                "input": str(source),
                "output": str(target),
                "scale": f"{request.scale:g}",
                "width": str(width),
                "height": str(height),
            }
            argv = [self.program, *(fill(argument, values) for argument in self.arguments)]
            try:
                ended = run_limited(argv, self.seconds)
            except (OSError, ValueError) as error:
                raise LiifBenchError(f"'{self.program}' cannot be started: {error}") from error
            return FinishedImage(to_tensor(self._read(target, request.size, ended)))

    def _read(self, target: Path, size: tuple[int, int], ended: Ended) -> RgbArray:
        """Return what the program wrote, if it did what it should.

        Raises:
            LiifBenchError: It did not; the message does not name the file, which is gone soon.
        """
        problem = _failure(ended, self.seconds)
        if not problem and (target.is_symlink() or not target.is_file()):
            problem = "wrote no file to {output}"
        if not problem:
            try:
                kind, found = read_kind(target), read_size(target)
                pixels = read_rgb(target)
            except LiifBenchError as error:
                problem = f"wrote no image: {str(error).replace(str(target), '{output}')}"
            else:
                if kind != ("PNG", "RGB"):
                    problem = f"wrote {kind[0]} in {kind[1]}, expected PNG in RGB (three channels)"
                elif found != size:
                    problem = (
                        f"wrote {found[1]}x{found[0]} pixels, expected {size[1]}x{size[0]}"
                        " ({width}x{height})"
                    )
                else:
                    return pixels
        said = f"; it said: {ended.last_line}" if ended.last_line else ""
        raise LiifBenchError(f"'{self.program}' {problem}{said}")


def command(options: Options, argument: str) -> Command:
    """Make an upsampler of a program.

    Args:
        options: Not used: how the program runs its network is its own business.
        argument: ``ARGV`` or ``ARGV?timeout=SECONDS&name=NAME&train=1-4``; ARGV is split as a
            shell would, but no shell is run.

    Raises:
        LiifBenchError: An option that there is not; ARGV cannot be split, or names no program, or
            has no place for ``{input}`` or ``{output}``.
    """
    del options
    head, chosen = split_options(argument, ("timeout", "name", "train"))
    try:
        argv = shlex.split(head)
    except ValueError as error:
        raise LiifBenchError(f"command '{head}' cannot be split: {error}") from error
    if not argv:
        raise LiifBenchError("the command is empty: write it as command:PROGRAM {input} {output}")
    for place in ("{input}", "{output}"):
        if not any(place in each for each in argv[1:]):
            raise LiifBenchError(f"command '{head}' has no {place}: the program must be told it")
    program = shutil.which(argv[0])
    if program is None:
        raise LiifBenchError(f"program '{argv[0]}' does not exist, or cannot be executed")
    seconds = whole_number("timeout", chosen.get("timeout", str(DEFAULT_SECONDS)), 1, _MOST_SECONDS)
    files = _named_files(argv[1:])
    settings = {
        "argv": shlex.join(argv),
        "timeout": f"{seconds} s",
        "values": "LR and SR as 8-bit PNG, multiples of 1/255",
    }
    if "train" in chosen:
        settings["train"] = chosen["train"]
    return Command(
        name=table_name(chosen.get("name", (files[0] if files else Path(program)).stem)),
        program=program,
        arguments=tuple(argv[1:]),
        seconds=seconds,
        training_scales=training_scales(chosen["train"]) if "train" in chosen else None,
        weights=Weights(f"command:{shlex.join(argv)}", _sha256(argv, [Path(program), *files])),
        settings=settings,
    )


def _named_files(arguments: list[str]) -> list[Path]:
    """Return the files that arguments name, as ``FILE`` or ``--option=FILE``."""
    named = (Path(text) for each in arguments for text in (each, each.partition("=")[2]) if text)
    return [path for path in named if _is_file(path)]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # an argument that is no path at all, being too long, say
        return False


def _sha256(argv: list[str], files: list[Path]) -> str:
    """Hash the command as written and the contents of its files, so that a change is noticed."""
    digest = hashlib.sha256("\0".join(argv).encode())
    for file in files:
        digest.update(file_sha256(file).encode())
    return digest.hexdigest()


def _failure(ended: Ended, seconds: int) -> str:
    """Say in what way a program ended that is no good end; "" for a good one."""
    if ended.code is None:
        return f"took longer than {seconds} s and was stopped (allow more with ?timeout=)"
    return describe_status(ended.code) if ended.code else ""
