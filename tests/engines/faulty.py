"""Models and a metric that go wrong on purpose; tests install them as a package."""

import os
import signal
import time
from pathlib import Path

import torch

from liif_bench.errors import LiifBenchError


class Flat:
    """A grey image; what goes wrong happens when it is encoded."""

    training_scales = None
    weights = None
    settings = {}  # noqa: RUF012 - a plug-in may be written so

    def __init__(self, name, options, argument=""):
        self.name = name
        self.options = options
        self.argument = argument

    def encode(self, lr):
        return self

    def encode_case(self, request):
        self.act(request)
        return self

    def act(self, request):
        pass

    def render(self, size, window=None):
        return torch.full((3, *size), 0.5)


class Killed(Flat):
    """Ends its process as the kernel would, so many times, at one image: FOLDER,ITEM,TIMES."""

    def act(self, request):
        folder, item, times = self.argument.split(",")
        if request.item != item or request.scale != 2:
            return
        kills = len(list(Path(folder).iterdir()))
        if kills < int(times):
            (Path(folder) / f"{kills}-{self.options.memory}").touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Hanging(Flat):
    """Does not come back from one image."""

    def act(self, request):
        if request.item == self.argument:
            time.sleep(3600)


class Slow(Flat):
    """Takes so many seconds for every image."""

    def act(self, request):
        time.sleep(float(self.argument))


class NotANumber(Flat):
    def render(self, size, window=None):
        return torch.full((3, *size), float("nan"))


class Leaking(Flat):
    """Keeps 100 MiB of every case, as a cache without bounds would."""

    kept = []  # noqa: RUF012 - that is the leak

    def act(self, request):
        self.kept.append(torch.ones(25 << 20))


class Hungry(Flat):
    """Has room only where its budget is small: LIMIT bytes."""

    def act(self, request):
        if self.options.memory > int(self.argument):
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 1 TiB")


class Unloadable(Flat):
    """Loads in the process that runs, and in no other."""

    def __init__(self, *given):
        super().__init__(*given)
        if os.environ.get("FAULTY_LOADER") not in (None, str(os.getpid())):
            raise LiifBenchError("this model loads only once")


def maker(kind, name):
    def make(options, argument=""):
        return kind(name, options, argument)

    return make


noop = maker(Flat, "noop")
killed = maker(Killed, "killed")
hanging = maker(Hanging, "hanging")
slow = maker(Slow, "slow")
nan = maker(NotANumber, "nan")
leaking = maker(Leaking, "leaking")
hungry = maker(Hungry, "hungry")
unloadable = maker(Unloadable, "unloadable")


class Needless:
    """A metric that needs nothing."""

    higher_is_better = True

    def __init__(self, device="cpu"):
        pass

    def variant(self, protocol):
        return "none"

    def needs(self, protocol):
        return ()


class Raising(Needless):
    """A metric that raises what nobody expects."""

    name = "raising"

    def score(self, case, output):
        raise ZeroDivisionError("by\nzero")


class Telling(Needless):
    """A metric that keeps rows beside its values."""

    name = "telling"
    table = "views"

    def score(self, case, output):
        return 1.0

    def details(self, case, output):
        return [{"rank": rank, "mean": output.sr.mean().item()} for rank in range(3)]


def end_at_once(pipe, setup):
    """What a worker does that the kernel ends while it starts."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang_at_once(pipe, setup):
    """A worker that never gets ready."""
    time.sleep(600)
