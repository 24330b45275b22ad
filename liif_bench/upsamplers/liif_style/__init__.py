"""Models of other repositories that keep LIIF's calling convention, each in a process of its own.

LTE, SRNO, LINF, ITSRN and many forks have a `models` package with `make`, and models that are asked
with coordinates and cells. Their code is run as it stands, by `worker.py`; this module tells the
worker what to do, and does not trust what comes back.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import re
import shutil
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError, one_line, shorten
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.upsamplers.base import FULL, Options, TrainingScales, Weights, Window, check_lr
from liif_bench.upsamplers.liif_style.worker import HEADER, MAGIC
from liif_bench.upsamplers.options import (
    choose,
    split_options,
    table_name,
    training_scales,
    whole_number,
)
from liif_bench.upsamplers.processes import (
    LastWords,
    await_end,
    describe_status,
    end_group,
    kill_group,
    start_group,
)

_NAME = "liif-style"
_SCRIPT = Path(__file__).with_name("worker.py")
_OPTIONS = (
    "checkpoint",
    "python",
    "call",
    "queries",
    "cell",
    "norm",
    "pad",
    "chunk",
    "timeout",
    "trust",
    "name",
    "train",
)
_LONGEST_TEXT = 1 << 20
_LONGEST_REASON = 300  # torch's, of a state dict that does not fit, may have thousands
_TRAINED_CELL = 1 / 4  # of an LR pixel: the smallest that LIIF's training shows
_NUMBER = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Convention:
    """How a repository's model wants to be asked.

    Attributes:
        folder: The repository.
        checkpoint: The trained weights, as its training code saves them.
        python: The Python that runs it.
        device: Where it computes.
        call: "query" (encode once, then ask), "forward" (both at once), or "auto".
        queries: "list" (a row of coordinates, a cell each) or "grid" (rows and columns, one cell).
        cell: "exact", "clip", "lte" or "half".
        mean: Subtracted from LR, added to what comes back.
        std: LR is divided by it, what comes back multiplied.
        pad: LR is mirrored at its end, up to the next multiple of this; 0 where it is not.
        chunk: Most queries at once.
        timeout: Seconds that any one answer may take.
        trust: Whether the checkpoint may name code.
    """

    folder: Path
    checkpoint: Path
    python: str
    device: str
    call: str
    queries: str
    cell: str
    mean: float
    std: float
    pad: int
    chunk: int
    timeout: int
    trust: bool


class Worker:
    """A running worker process.

    Args:
        convention: The repository and how it wants to be asked.

    Raises:
        LiifBenchError: It cannot be started, or cannot load the model.
    """

    def __init__(self, convention: Convention) -> None:
        self._timeout = convention.timeout
        self._ran_out = False
        try:
            self._process = start_group([convention.python, str(_SCRIPT)], convention.folder)
        except OSError as error:
            raise LiifBenchError(
                f"cannot start '{convention.python}': {error.strerror}: check python="
            ) from error
        self._end = weakref.finalize(self, _dismiss, self._process)
        to, back, words = self._process.stdin, self._process.stdout, self._process.stderr
        assert to is not None
        assert back is not None
        assert words is not None
        self._to, self._from, self._last_words = to, back, LastWords(words)
        told = {
            "kind": "load",
            "checkpoint": str(convention.checkpoint),
            "device": convention.device,
            "call": convention.call,
            "queries": convention.queries,
            "chunk": convention.chunk,
            "trust": convention.trust,
        }
        self.ask(told, b"", "loaded")

    def ask(self, text: Mapping[str, Any], numbers: bytes, kind: str, expected: int = 0) -> bytes:
        """Send a message and return the numbers of its answer; see `receive`."""
        encoded = json.dumps(text).encode()
        with self._patience():
            self._to.write(HEADER.pack(MAGIC, len(encoded), len(numbers)) + encoded)
            self._to.write(numbers)
            self._to.flush()
        return self.receive(kind, expected)

    def receive(self, kind: str, expected: int) -> bytes:
        """Wait for a message.

        Args:
            kind: What it has to be.
            expected: Bytes of numbers that it has to have.

        Returns:
            The numbers.

        Raises:
            LiifBenchError: It is an error or something else, took too long, or never came. The
                worker is gone then.
        """
        with self._patience():
            head = self._from.read(HEADER.size)
            if head and not head.startswith(MAGIC):
                raise self._failed(f"its output is not the worker's: {head!r}")
            if len(head) < HEADER.size:
                raise EOFError
            _, length, count = HEADER.unpack(head)
            if length > _LONGEST_TEXT:
                raise self._failed(f"a message of {length} bytes came")
            raw = self._from.read(length)
            if len(raw) < length:
                raise EOFError
            text = json.loads(raw)
            if text["kind"] == "error":
                raise self._failed(text["reason"])
            if text["kind"] != kind or count != expected:
                raise self._failed(f"'{text['kind']}' of {count} bytes came instead of '{kind}'")
            numbers = self._from.read(count)
            if len(numbers) < count:
                raise EOFError
            return numbers

    def close(self) -> None:
        """End the process and all that it started."""
        self._end()

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """End the worker where it takes too long, and where whatever else interrupts the talk."""
        timer = threading.Timer(self._timeout, self._run_out)
        timer.daemon = True
        timer.start()
        try:
            yield
        except (ValueError, KeyError, TypeError) as error:
            raise self._failed(f"its output cannot be read: {one_line(error)}") from error
        except (EOFError, OSError):
            status = await_end(self._process)
            raise self._failed(
                f"no answer within {self._timeout} s"
                if self._ran_out
                else f"the worker {describe_status(status)}"
            ) from None
        except BaseException:  # Ctrl-C too: half a message would be left
            self.close()
            raise
        finally:
            timer.cancel()
            timer.join()  # its thread holds this worker

    def _run_out(self) -> None:
        self._ran_out = True
        kill_group(self._process)

    def _failed(self, reason: str) -> LiifBenchError:
        """End the worker; return the error, with the last line of its standard error."""
        self.close()
        last = self._last_words.line()
        said = (
            ""
            if not last or last in reason
            else f"; it last said: {shorten(last, _LONGEST_REASON)}"
        )
        return LiifBenchError(f"{_NAME}: {shorten(reason, _LONGEST_REASON)}{said}")


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    """End a worker and close the pipes to it."""
    end_group(process)
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not written yet has nobody left to read it
            if stream:
                stream.close()


class Session:
    """A worker that is started when it is needed, and started anew where it ended.

    Args:
        convention: The repository and how it wants to be asked.
    """

    def __init__(self, convention: Convention) -> None:
        self.convention = convention
        self._worker: Worker | None = None
        self._held = -1  # number of the LR that the worker has encoded

    def encode(self, number: int, lr: Tensor) -> Worker:
        """Return a worker that has encoded an LR.

        Args:
            number: Which LR this is.
            lr: `(3, h, w)` in [0, 1].

        Raises:
            LiifBenchError: It cannot be loaded, or cannot encode.
        """
        if self._worker is None:
            self._worker = Worker(self.convention)
        if self._held != number:
            rows, columns = (_mirrored(side, self.convention.pad) for side in lr.shape[1:])
            padded = lr.float().cpu()[:, rows][:, :, columns]
            normalised = (padded - self.convention.mean) / self.convention.std
            shape = [1, *normalised.shape]
            numbers = normalised.contiguous().numpy().tobytes()
            self._worker.ask({"kind": "encode", "shape": shape}, numbers, "encoded")
            self._held = number
        return self._worker

    @contextmanager
    def talk(self) -> Iterator[None]:
        """Forget the worker where anything goes wrong; the next talk begins with another."""
        try:
            yield
        except BaseException:
            if self._worker is not None:
                self._worker.close()
            self._worker, self._held = None, -1
            raise


@dataclass(frozen=True)
class LiifStyleImage:
    """An LR image under a model of another repository.

    Attributes:
        number: Tells it from others of the same session.
        lr: `(3, h, w)` in [0, 1].
        session: Where the model runs.
    """

    number: int
    lr: Tensor
    session: Session

    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`.

        Raises:
            LiifBenchError: The model failed, ended, took too long or answered what is no image.
        """
        rule = self.session.convention
        height, width = (len(_mirrored(side, rule.pad)) for side in self.lr.shape[1:])
        shown = (self.lr.shape[1] / height, self.lr.shape[2] / width)
        rows, pixel_height = _centres(size[0], window.top * shown[0], window.bottom * shown[0])
        columns, pixel_width = _centres(size[1], window.left * shown[1], window.right * shown[1])
        cell = _cell((pixel_height, pixel_width), (height, width), rule.cell)
        told = {"kind": "render", "rows": size[0], "cell": cell}
        out = np.empty((size[0] * size[1], 3), dtype=np.float32)
        step = rule.chunk
        if rule.queries == "grid":
            step = max(1, rule.chunk // size[1]) * size[1]
        counts = [min(step, len(out) - start) for start in range(0, len(out), step)]
        with self.session.talk():
            worker = self.session.encode(self.number, self.lr)
            part = worker.ask(told, rows + columns, "part", counts[0] * 12)
            start = 0
            for count, following in itertools.zip_longest(counts, counts[1:]):
                out[start : start + count] = np.frombuffer(part, np.float32).reshape(-1, 3)
                start += count
                if following:
                    part = worker.receive("part", following * 12)
            if not np.isfinite(out).all():
                raise LiifBenchError(f"{_NAME}: the model answered values that are not finite")
        rgb = torch.from_numpy(out).mul_(rule.std).add_(rule.mean).clamp_(0, 1)
        return rgb.view(*size, 3).permute(2, 0, 1).contiguous()


def _mirrored(side: int, multiple: int) -> Tensor:
    """Return the LR pixels along an axis, the last ones mirrored up to a multiple, as LTE does.

    An axis that is a multiple already is padded all the same.
    """
    if multiple == 0:
        return torch.arange(side)
    places = torch.arange((side // multiple + 1) * multiple) % (2 * side)
    return torch.minimum(places, 2 * side - 1 - places)


def _centres(size: int, start: float, end: float) -> tuple[bytes, float]:
    """Return the centres of output pixels in [-1, 1] as float32, and the size of a pixel there."""
    pixel = (end - start) / size
    centres = 2 * (start + (np.arange(size) + 0.5) * pixel) - 1
    return centres.astype(np.float32).tobytes(), 2 * pixel


def _cell(pixels: tuple[float, float], lr_size: tuple[int, int], rule: str) -> list[float]:
    """Return the cell that the model is told, in [-1, 1] coordinates.

    Args:
        pixels: Height and width of an output pixel, in these coordinates.
        lr_size: `(h, w)` of LR.
        rule: "exact"; "clip" at an axis's cell of x4; "lte", which multiplies both axes' cells by
            a quarter of the scale beyond x4; "half" of the exact one, which ITSRN was trained on.
    """
    smallest = [_TRAINED_CELL * 2 / side for side in lr_size]
    if rule == "clip":
        return [max(pair) for pair in zip(pixels, smallest, strict=True)]
    if rule == "lte":
        scale = math.sqrt(4 / (pixels[0] * lr_size[0] * pixels[1] * lr_size[1]))
        return [pixel * max(scale * _TRAINED_CELL, 1) for pixel in pixels]
    return [pixel / 2 if rule == "half" else pixel for pixel in pixels]


@dataclass(frozen=True)
class LiifStyle:
    """A model of another repository as an upsampler."""

    name: str
    training_scales: TrainingScales | None
    weights: Weights
    settings: Mapping[str, str]
    session: Session
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def encode(self, lr: Tensor) -> LiifStyleImage:
        """Encode LR; see `Upsampler.encode`.

        Raises:
            LiifBenchError: The model cannot be loaded, failed, ended or took too long.
        """
        check_lr(lr)
        image = LiifStyleImage(next(self._numbers), lr, self.session)
        with self.session.talk():
            self.session.encode(image.number, lr)
        return image


def liif_style(options: Options, argument: str) -> LiifStyle:
    """Make an upsampler of a repository; its code is not run before LR is to be encoded.

    Args:
        options: Device and cell rule.
        argument: ``PATH?checkpoint=FILE&...``; the options are described in docs/models.md.

    Raises:
        LiifBenchError: No such repository or checkpoint, an option that there is not, or a protocol
            that somebody else's code cannot be held to.
    """
    path, given = split_options(argument, _OPTIONS)
    folder = user_path(path).absolute()
    if not (folder / "models").is_dir() and not (folder / "models.py").is_file():
        raise LiifBenchError(
            f"'{path}' has no package 'models': name the folder of a repository as LIIF's"
        )
    if "checkpoint" not in given:
        raise LiifBenchError(f"{_NAME}:{argument} names no checkpoint: add ?checkpoint=FILE")
    checkpoint = user_path(given["checkpoint"]).absolute()
    if not checkpoint.is_file():
        raise LiifBenchError(f"checkpoint '{checkpoint}' does not exist")
    if options.precision != "float32" or not options.local_ensemble:
        raise LiifBenchError(
            f"{_NAME} runs models as they are: use a protocol with float32 and local_ensemble"
        )
    mean, std = _normalisation(given.get("norm", "0.5/0.5"))
    convention = Convention(
        folder=folder,
        checkpoint=checkpoint,
        python=_python(given["python"]) if "python" in given else sys.executable,
        device=options.device,
        call=choose("call", given.get("call", "auto"), ("auto", "forward", "query")),
        queries=choose("queries", given.get("queries", "list"), ("list", "grid")),
        cell=choose("cell", given.get("cell", options.cell_rule), ("exact", "clip", "lte", "half")),
        mean=mean,
        std=std,
        pad=whole_number("pad", given.get("pad", "0"), 0, 1 << 10),
        chunk=whole_number("chunk", given.get("chunk", "30000"), 1, 1 << 24),
        timeout=whole_number("timeout", given.get("timeout", "600"), 1, 86400),
        trust=choose("trust", given.get("trust", "no"), ("yes", "no")) == "yes",
    )
    train = given.get("train", "1-4")
    settings = {
        "repository": str(folder),
        "code": _fingerprint(folder),
        "call": convention.call,
        "queries": convention.queries,
        "cell": convention.cell,
        "norm": f"{mean:g}/{std:g}",
        "pad": str(convention.pad),
        "chunk": str(convention.chunk),
        "train": train,
    }
    if "python" in given:
        settings["python"] = convention.python
    return LiifStyle(
        name=table_name(given.get("name") or f"{_NAME}:{checkpoint.stem}"),
        training_scales=training_scales(train),
        weights=Weights(str(checkpoint), file_sha256(checkpoint)),
        settings=settings,
        session=Session(convention),
    )


def _python(text: str) -> str:
    found = shutil.which(user_path(text))
    if found is None:
        raise LiifBenchError(f"python '{text}' is no program: name the python of an environment")
    return str(Path(found).absolute())


def _normalisation(text: str) -> tuple[float, float]:
    if text == "none":
        return 0.0, 1.0
    match = re.fullmatch(rf"({_NUMBER})/({_NUMBER})", text)
    if not match or float(match[2]) == 0:
        raise LiifBenchError(f"option norm={text} is not possible: use MEAN/STD or none")
    return float(match[1]), float(match[2])


def _fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the code that a model is made of: `models` and the files beside it."""
    digest = hashlib.sha256()
    for path in sorted([*folder.glob("*.py"), *folder.glob("models/**/*.py")]):
        if path.is_file():
            digest.update(f"{path.relative_to(folder).as_posix()} {file_sha256(path)}\n".encode())
    return digest.hexdigest()
