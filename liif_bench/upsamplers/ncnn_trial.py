"""Tries a network of ncnn's in a process that may die of it, without anything of liif-bench.

``python ncnn_trial.py PARAM BIN INPUT OUTPUT SIDE`` loads a network and runs it on a grey RGB image
of SIDE pixels per side. ncnn checks little of what it is given: files that are damaged or hostile
may end the process, or have it ask for any memory. Exit status 0 says that it lives, whatever it
made; a signal says that it does not.
"""

from __future__ import annotations

import contextlib
import sys

_ROOM = 16 << 30  # bytes of address space, of which threads and libraries take a few GiB


def limit_memory() -> None:
    """Bound what this process may have, where the system can."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (_ROOM, _ROOM))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


OFF = (
    "use_vulkan_compute",
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_storage",
    "use_bf16_packed",  # since 2025
)
"""What ncnn is told to do without, so that it computes in float32."""


def run_once(param: str, weights: str, reads: str, makes: str, side: int) -> str:
    """Load a network and run it; returns how far that went."""
    import ncnn
    import numpy as np

    net = ncnn.Net()
    net.opt.num_threads = 1
    for option in OFF:
        if hasattr(net.opt, option):
            setattr(net.opt, option, False)
    if net.load_param(param) or net.load_model(weights):
        return "cannot be loaded"
    with net.create_extractor() as extractor:
        picture = ncnn.Mat(np.full((3, side, side), 0.5, np.float32)).clone()
        if extractor.input(reads, picture):
            return "takes no picture"
        failed, made = extractor.extract(makes)
        return "makes nothing" if failed else f"makes {np.array(made).shape}"


if __name__ == "__main__":
    sys.path.pop(0)  # this file's folder, where another module is called ncnn
    limit_memory()
    param, weights, reads, makes, side = sys.argv[1:]
    print(run_once(param, weights, reads, makes, int(side)))
