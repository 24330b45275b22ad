"""Runs a model of another repository with LIIF's calling convention, in a process of its own.

Started by path, with the repository as working directory, by a Python (3.8 or newer) that needs
torch (1.13 or newer) and numpy, and nothing of liif-bench. It speaks on what were its standard
input and output; whatever the repository prints goes to standard error. It ends, and all that it
started, as soon as its standard input does.

A message is a header of 16 bytes (four that name the protocol, length of the text, length of the
numbers), a text (JSON), and numbers (float32, in the machine's order). It is told `load`, which it
answers by `loaded`; then `encode` with LR, answered by `encoded`; then any number of times `render`
with the coordinates of rows and columns, answered by as many `part` messages as it takes. Instead
of any answer there may be an `error`, and then nothing more.
"""

from __future__ import annotations

import inspect
import json
import os
import queue
import signal
import struct
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

MAGIC = b"LSW1"
HEADER = struct.Struct("=4sIQ")


class Channel:
    """What were standard input and output; both now lead elsewhere."""

    def __init__(self) -> None:
        self._in: IO[bytes] = os.fdopen(os.dup(0), "rb")
        self._out: IO[bytes] = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        self._waiting: queue.Queue[tuple[dict[str, Any], bytes]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        """Read messages, also while the model is at work, so that the end of input is noticed."""
        while True:
            header = self._in.read(HEADER.size)
            if len(header) < HEADER.size:
                end_all()
            _, text, numbers = HEADER.unpack(header)
            self._waiting.put((json.loads(self._in.read(text)), self._in.read(numbers)))

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait for the next message: its text and its numbers."""
        return self._waiting.get()

    def send(self, text: dict[str, Any], numbers: bytes = b"") -> None:
        """Send a message."""
        encoded = json.dumps(text).encode()
        self._out.write(HEADER.pack(MAGIC, len(encoded), len(numbers)) + encoded)
        self._out.write(numbers)
        self._out.flush()


def end_all() -> None:
    """End this process and all that it started."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def read_checkpoint(path: str, trust: bool) -> Any:
    """Read a file of `torch.save`; one that names code only if it is trusted."""
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        if not trust:
            why = (str(error).splitlines() or [""])[0]
            raise ValueError(
                f"'{path}' holds more than tensors, or is damaged: if you trust it, add trust=yes"
                f" ({type(error).__name__}: {why})"
            ) from None
    return torch.load(path, map_location="cpu", weights_only=False)


def stay(self: Any, *_: Any, **__: Any) -> Any:
    """Stand for `cuda` where there is to be none."""
    return self


class Model:
    """A model of the repository, made as its own test code makes it.

    Args:
        told: The text of the `load` message.
    """

    def __init__(self, told: dict[str, Any]) -> None:
        import torch

        self.device = torch.device(told["device"])
        if self.device.type == "cpu":
            # the authors' code says .cuda() wherever it makes coordinates
            for kind in (torch.Tensor, torch.nn.Module):
                kind.cuda = stay  # type: ignore[method-assign]
        else:
            torch.cuda.set_device(self.device)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        content = read_checkpoint(told["checkpoint"], told["trust"])
        if not isinstance(content, dict) or "model" not in content:
            raise ValueError(f"'{told['checkpoint']}' has no 'model': expected what LIIF saves")
        import models  # type: ignore[import-not-found]  # the repository's

        self.model = models.make(content["model"], load_sd=True).to(self.device).eval()
        stateful = hasattr(self.model, "gen_feat") and hasattr(self.model, "query_rgb")
        self.call = told["call"]
        if self.call == "auto":
            self.call = "query" if stateful else "forward"
        elif self.call == "query" and not stateful:
            raise ValueError("the model has no gen_feat and query_rgb: use call=forward")
        self.grid = told["queries"] == "grid"
        self.chunk = told["chunk"]
        # LINF's query_rgb wants LR and features again
        wanted = list(inspect.signature(self.model.query_rgb).parameters) if stateful else []
        self.again = wanted[:2] == ["inp", "feat"]

    def encode(self, lr: Any) -> None:
        """Encode LR, `(1, 3, h, w)`, already normalised."""
        import torch

        torch.manual_seed(0)
        self.lr = lr.to(self.device)
        self.features = self.model.gen_feat(self.lr) if self.call == "query" else None

    def render(self, rows: Any, columns: Any, cell: Any) -> Iterator[Any]:
        """Yield RGB in parts of `(n, 3)`, from the top left on, row by row.

        Args:
            rows: `(H,)` coordinates in [-1, 1].
            columns: `(W,)` coordinates in [-1, 1].
            cell: `(2,)` height and width of an output pixel in these coordinates.
        """
        import torch

        torch.manual_seed(0)
        rows, columns, cell = (each.to(self.device) for each in (rows, columns, cell))
        width = len(columns)
        if self.grid:
            step = max(1, self.chunk // width)
            for top in range(0, len(rows), step):
                some = rows[top : top + step]
                places = torch.stack(
                    [some[:, None].expand(-1, width), columns[None].expand(len(some), -1)], dim=-1
                )
                rgb = self._ask(places[None], cell[None], (1, 3, len(some), width))
                yield rgb[0].permute(1, 2, 0).reshape(-1, 3)
            return
        count = len(rows) * width
        for start in range(0, count, self.chunk):
            index = torch.arange(start, min(start + self.chunk, count), device=self.device)
            row = torch.div(index, width, rounding_mode="floor")
            places = torch.stack([rows[row], columns[index - row * width]], dim=-1)
            cells = cell.expand(1, len(index), 2).clone()
            yield self._ask(places[None], cells, (1, len(index), 3))[0]

    def _ask(self, places: Any, cell: Any, shape: tuple[int, ...]) -> Any:
        """Query the model; refuse an answer of another shape."""
        if self.call == "forward":
            rgb = self.model(self.lr, places, cell)
        elif self.again:
            rgb = self.model.query_rgb(self.lr, self.features, places, cell)
        else:
            rgb = self.model.query_rgb(places, cell)
        found = tuple(getattr(rgb, "shape", ())) or type(rgb).__name__
        if found != shape:
            raise ValueError(f"the model answered {found}, expected {shape}")
        return rgb


def serve(channel: Channel) -> None:
    """Answer messages until something goes wrong; the end of input ends the process."""
    text, _ = channel.receive()
    import numpy
    import torch

    model = Model(text)
    channel.send({"kind": "loaded"})
    while True:
        text, numbers = channel.receive()
        given = torch.from_numpy(numpy.frombuffer(numbers, dtype=numpy.float32).copy())
        with torch.no_grad():
            if text["kind"] == "encode":
                model.encode(given.view(text["shape"]))
                channel.send({"kind": "encoded"})
            else:
                rows, columns = given[: text["rows"]], given[text["rows"] :]
                for part in model.render(rows, columns, torch.tensor(text["cell"])):
                    values = part.detach().float().cpu().contiguous().numpy()
                    channel.send({"kind": "part"}, values.tobytes())


def main() -> None:
    """Serve, and report what went wrong."""
    channel = Channel()
    sys.path[0] = str(Path.cwd())  # in place of this file's folder
    try:
        serve(channel)
    except BaseException as error:  # anybody's code, which may call sys.exit
        traceback.print_exc()
        sys.stderr.flush()
        words = " ".join(str(error).split()) or "no message"
        channel.send({"kind": "error", "reason": f"{type(error).__name__}: {words}"})
    end_all()


if __name__ == "__main__":
    main()
