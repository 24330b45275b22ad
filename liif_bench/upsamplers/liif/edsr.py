"""The EDSR-baseline encoder without its upsampling tail (arXiv 1707.02921, as LIIF uses it)."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, h, w)` to the same shape."""
        residual: Tensor = self.body(x)
        return residual.add_(x)


class EdsrBaseline(nn.Module):
    """EDSR-baseline: 16 residual blocks of 64 channels, residual scale 1.

    Module names follow the authors' checkpoints, so that their state dicts load as they are.
    """

    label = "EDSR-baseline"
    channels = 64
    blocks = 16
    reach = 2 * blocks + 2
    """How far a feature sees: each of the 3x3 convolutions adds one LR pixel."""

    live_maps = 4.5
    """Feature maps held at once, with what the convolutions need besides (measured)."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(3, self.channels, 3, padding=1))
        self.body = nn.Sequential(
            *(ResidualBlock(self.channels) for _ in range(self.blocks)),
            nn.Conv2d(self.channels, self.channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode.

        Args:
            x: `(N, 3, h, w)`, RGB in [-1, 1].

        Returns:
            `(N, 64, h, w)` features.
        """
        shallow = self.head(x)
        deep: Tensor = self.body(shallow)
        return deep.add_(shallow)
