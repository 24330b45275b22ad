"""DISTS and Gram distances a second time and apart: the papers' formulas in float64.

Nothing of `liif_bench` but the reading of weights files. The trunk is torchvision's VGG16, walked
layer by layer; pooling, statistics and Gram matrices are written out with unfold and einsum.
"""

from functools import cache

import numpy as np
import torch
import torchvision

from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import lpips_trunk, read_torch

READ = (3, 8, 15, 22, 29)  # relu1_2, relu2_2, relu3_3, relu4_3, relu5_3


@cache
def trunk():
    layers = torchvision.models.vgg.make_layers(torchvision.models.vgg.cfgs["D"])
    layers.load_state_dict(lpips_trunk(ensure("lpips-vgg")))
    return layers.double().eval()


def l2_pooled(maps):
    """The root of the sum over 3x3 places of window times square, at every second place."""
    window = np.hanning(5)[1:-1]
    window = np.outer(window, window) / window.sum() ** 2
    count, channels, height, width = maps.shape
    places = torch.nn.functional.unfold(maps**2, 3, padding=1, stride=2)
    places = places.view(count, channels, 9, (height + 1) // 2, (width + 1) // 2)
    weighted = torch.einsum("nckhw,k->nchw", places, torch.from_numpy(window.ravel()))
    return (weighted + 1e-12).sqrt()


@torch.inference_mode()
def layers(image, pooled):
    """The five layers of a `(3, H, W)` image in [0, 1], with a pooling of one's own."""
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(3, 1, 1)
    maps, read = ((image.double() - mean) / std)[None], []
    for index, layer in enumerate(trunk()[: READ[-1] + 1]):
        maps = pooled(maps) if isinstance(layer, torch.nn.MaxPool2d) else layer(maps)
        if index in READ:
            read.append(maps.clone())
    return read


def max_pooled(maps):
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))


def dists(sr, hr):
    """Ding et al., arXiv 2004.07728: 1 - sum of alpha l + beta s over channels of all stages."""
    stored = read_torch(ensure("dists"))
    alpha, beta = (stored[name].double().flatten().numpy() for name in ("alpha", "beta"))
    ours, true = ([image.double()[None], *layers(image, l2_pooled)] for image in (sr, hr))
    likeness, place = 0.0, 0
    for x_maps, y_maps in zip(ours, true, strict=True):
        for x, y in zip(x_maps[0].flatten(1).numpy(), y_maps[0].flatten(1).numpy(), strict=True):
            (x_spread, both), (_, y_spread) = np.cov(x, y, bias=True)
            luminance = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
            structure = (2 * both + 1e-6) / (x_spread + y_spread + 1e-6)
            likeness += alpha[place] * luminance + beta[place] * structure
            place += 1
    assert place == alpha.size
    return 1 - likeness / (alpha.sum() + beta.sum())


def gram_distance(sr, hr):
    """Squared distance of the Gram matrices, of the squared norm of HR's, mean over layers."""
    shares = []
    for ours, true in zip(layers(sr, max_pooled), layers(hr, max_pooled), strict=True):
        ours, true = (torch.einsum("nihw,njhw->ij", maps, maps).numpy() for maps in (ours, true))
        shares.append(((ours - true) ** 2).sum() / (true**2).sum())
    return float(np.mean(shares))
