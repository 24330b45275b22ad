"""The MLP's square layers, each a matrix product, a bias and a ReLU over very many rows.

They are nine tenths of LIIF's arithmetic, so the fastest product that is there decides its speed.
On a CPU that is oneDNN's, with the ReLU inside; torch's own `addmm` may be half as fast in float32
(it takes MKL's, which leaves half of an AMD processor's vector width unused). PyTorch reaches it
through an operator that is not documented: it is tried once, on real weights, and where it is
missing, fails or disagrees, the documented way is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Layers = Sequence[tuple[Tensor, Tensor]]
"""`(weight, bias)` of each layer; a weight is `(outputs, inputs)`."""

Hidden = Callable[[Tensor], Tensor]
"""Maps `(rows, inputs)` to `(rows, outputs)`; the argument may be overwritten."""

_TRIAL_ROWS = 16


@torch.inference_mode()
def hidden_layers(layers: Layers, rows: int) -> Hidden:
    """Return the fastest way to apply layers with a ReLU behind each.

    Args:
        layers: On the device and in the format to compute in.
        rows: How many rows there will be at a time, for the choice of memory layout.
    """
    plain = _plain(layers)
    if not layers or layers[0][0].device.type != "cpu":
        return plain
    trial = torch.linspace(-1, 1, _TRIAL_ROWS * layers[0][0].shape[1])
    trial = trial.view(_TRIAL_ROWS, -1).to(layers[0][0].dtype)
    try:
        fused = _fused(layers, rows)
        got, expected = fused(trial.clone()).float(), plain(trial.clone()).float()
    except (AttributeError, NotImplementedError, RuntimeError, TypeError):
        return plain  # another build of torch, or a processor that oneDNN lacks this format for
    tolerance = 8 * torch.finfo(trial.dtype).eps * float(expected.abs().amax())
    return fused if torch.allclose(got, expected, rtol=0, atol=tolerance) else plain


def _plain(layers: Layers) -> Hidden:
    """Return the documented way: `addmm`, then a ReLU in place, in two buffers by turns."""
    transposed = [(weight.t().contiguous(), bias) for weight, bias in layers]

    def apply(vectors: Tensor) -> Tensor:
        spare = torch.empty_like(vectors)
        for weight, bias in transposed:
            if weight.shape[1] != spare.shape[1]:
                spare = vectors.new_empty(len(vectors), weight.shape[1])
            torch.addmm(bias, vectors, weight, out=spare).relu_()
            vectors, spare = spare, vectors
        return vectors

    return apply


def _fused(layers: Layers, rows: int) -> Hidden:
    """Return oneDNN's linear layer with its ReLU, on weights in oneDNN's own layout."""
    linear = torch.ops.mkldnn._linear_pointwise
    packed = [
        (torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows), bias)
        for weight, bias in layers
    ]

    def apply(vectors: Tensor) -> Tensor:
        for weight, bias in packed:
            vectors = linear(vectors, weight, bias, "relu", [], "")
        return vectors

    return apply
