"""Real-ESRGAN's weights from ncnn's two files, as the authors' own checkpoint holds them.

Nothing of `liif_bench` or ncnn: the text of the graph, and the layout of the weights as ncnn's
source states it (per convolution a flag word, the kernel, the bias, each aligned to four bytes).
"""

import numpy as np
import torch

_HALF = 0x01306B47  # the flag of 16-bit floating-point kernels; 0 stands for 32-bit ones


def convolutions(param, weights):
    """Yield `(kernel, bias)` of each convolution, `(out, in, h, w)` and `(out,)`, in order."""
    content = weights.read_bytes()
    place = 0
    for line in param.read_text().splitlines()[2:]:
        words = line.split()
        if words[0] != "Convolution":
            continue
        numbers = dict(word.split("=") for word in words[6:])
        made, side, count = (int(numbers[key]) for key in ("0", "1", "6"))
        assert numbers["5"] == "1", "every one has a bias"
        flag = int(np.frombuffer(content, "<u4", 1, place)[0])
        assert flag in (0, _HALF), f"flag {flag:#x}"
        kind = "<f2" if flag else "<f4"
        kernel = np.frombuffer(content, kind, count, place + 4)
        place += 4 + (kernel.nbytes + 3) // 4 * 4
        bias = np.frombuffer(content, "<f4", made, place)
        place += bias.nbytes
        shape = (made, count // (made * side * side), side, side)
        yield torch.from_numpy(kernel.reshape(shape).astype(np.float32)), torch.tensor(bias)
    assert place == len(content), "nothing is left over"


def rrdbnet(param, weights):
    """The state dict of RRDBNet (23 blocks of 64 channels) from Real-ESRGAN's two files."""
    names = ["conv_first"]
    names += [
        f"body.{block}.rdb{dense}.conv{number}"
        for block in range(23)
        for dense in (1, 2, 3)
        for number in (1, 2, 3, 4, 5)
    ]
    names += ["conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last"]
    state = {}
    for name, (kernel, bias) in zip(names, convolutions(param, weights), strict=True):
        state[f"{name}.weight"] = kernel
        state[f"{name}.bias"] = bias
    return state
