import torch
from torch import nn

from models import register


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1)
        )

    def forward(self, x):
        return x + self.body(x)


@register("edsr-baseline")
class Encoder(nn.Module):
    out_dim = 64

    def __init__(self, no_upsampling):
        super().__init__()
        assert no_upsampling
        self.sub_mean, self.add_mean = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)  # not used
        self.head = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1))
        self.body = nn.Sequential(*(Residual() for _ in range(16)), nn.Conv2d(64, 64, 3, padding=1))

    def forward(self, x):
        first = self.head(x)
        return first + self.body(first)


@register("mlp")
class Mlp(nn.Module):
    def __init__(self, in_dim, out_dim, hidden_list):
        super().__init__()
        parts = []
        for hidden in hidden_list:
            parts += [nn.Linear(in_dim, hidden), nn.ReLU()]
            in_dim = hidden
        self.layers = nn.Sequential(*parts, nn.Linear(in_dim, out_dim))

    def forward(self, x):
        return self.layers(x)


def sample(maps, places):
    """The values `(N, n, C)` of `(N, C, h, w)` maps nearest to `(N, n, 2)` places."""
    found = torch.nn.functional.grid_sample(
        maps, places.flip(-1)[:, None], mode="nearest", align_corners=False
    )
    return found[:, :, 0].transpose(1, 2)
