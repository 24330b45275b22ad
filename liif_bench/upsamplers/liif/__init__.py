"""LIIF: an encoder's features under a local implicit image function (arXiv 2012.09161)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import CellRule
from liif_bench.upsamplers.base import (
    FULL,
    Options,
    TrainingScales,
    Weights,
    Window,
    check_lr,
    check_precision,
)
from liif_bench.upsamplers.liif.checkpoint import Checkpoint, read_checkpoint, user_checkpoint
from liif_bench.upsamplers.liif.decoder import ALL_ON, Decoder, DecoderConfig, Switches, locate
from liif_bench.upsamplers.liif.encoders import (
    EDSR_BASELINE,
    ENCODERS,
    RDN,
    decoded,
    encode,
    ready_encoder,
)
from liif_bench.upsamplers.liif.features import Features
from liif_bench.upsamplers.liif.variants import check_fits, named, read_switches, switched_off
from liif_bench.weights.fetch import ensure
from liif_bench.weights.registry import lookup

WEIGHTS_ID = "liif-edsr"
TRAINING_SCALES = ((1.0, 4.0),)


@dataclass(frozen=True)
class LiifImage:
    """An LR image as a local implicit function.

    Attributes:
        features: The latent codes.
        decoder: The MLP that reads them.
    """

    features: Features
    decoder: Decoder

    @torch.inference_mode()
    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`."""
        height, width = self.features.size
        config = self.decoder.config
        rows = locate(height, size[0], window.top, window.bottom, config)
        columns = locate(width, size[1], window.left, window.right, config)
        return decoded(self.decoder.render(self.features, rows, columns))

    def under(self, *, local_ensemble: bool, cell_rule: CellRule) -> LiifImage:
        """Return the same features under other rules; see `Retunable.under`."""
        decoder = self.decoder.under(local_ensemble=local_ensemble, cell_rule=cell_rule)
        return LiifImage(self.features, decoder)


class Liif:
    """LIIF as an upsampler.

    Args:
        name: As in tables and records.
        encoder: A name of `ENCODERS`.
        checkpoint: Trained weights.
        weights: Their identity.
        options: Device, precision, local ensemble and cell rule.
        switches: What is switched off.

    Attributes:
        structure: How it is built; ``unfolded`` and ``cell`` count the neighbours that a latent
            code brings along and the numbers that say how large a pixel is.
    """

    training_scales: TrainingScales | None = TRAINING_SCALES

    def __init__(
        self,
        name: str,
        encoder: str,
        checkpoint: Checkpoint,
        weights: Weights,
        options: Options,
        switches: Switches = ALL_ON,
    ) -> None:
        self.name = named(name, switches)
        self.weights = weights
        self.settings: Mapping[str, str] = switched_off(switches)  # the protocol holds the rest
        self.options = options
        self.structure: Mapping[str, str | int] = {
            "encoder": ENCODERS[encoder].label,
            "encoder_parameters": checkpoint.encoder_parameters,
            "encoder_reach": ENCODERS[encoder].reach,
            "channels": ENCODERS[encoder].channels,
            "mlp_parameters": checkpoint.mlp_parameters,
            "mlp_layers": len(checkpoint.layers),
            "mlp_inputs": checkpoint.layers[0][0].shape[1],
            "mlp_width": checkpoint.layers[0][0].shape[0],
            "unfolded": 9 if checkpoint.feat_unfold else 1,
            "cell": 2 if checkpoint.cell_decode else 0,
        }
        self.encoder = ready_encoder(encoder, checkpoint.encoder, options)
        config = DecoderConfig(
            feat_unfold=checkpoint.feat_unfold,
            cell_decode=checkpoint.cell_decode,
            local_ensemble=options.local_ensemble,
            cell_rule=options.cell_rule,
            switches=switches,
        )
        self.decoder = Decoder(
            checkpoint.layers,
            self.encoder.channels,
            config,
            torch.device(options.device),
            options.dtype,
            options.memory,
        )

    @torch.inference_mode()
    def encode(self, lr: Tensor) -> LiifImage:
        """Encode LR; see `Upsampler.encode`."""
        check_lr(lr)
        (features,) = encode(lr[None], self.encoder, self.options)
        return LiifImage(features, self.decoder)

    @torch.inference_mode()
    def encode_batch(self, batch: Tensor) -> tuple[LiifImage, ...]:
        """Encode LR images of one size together, as many at once as the budget of memory allows.

        Args:
            batch: `(N, 3, h, w)` float32, RGB, [0, 1].

        Returns:
            One image each, equal to what `encode` makes of it (1e-6).

        Raises:
            LiifBenchError: Not such a tensor.
        """
        if batch.ndim != 4 or len(batch) == 0:
            raise LiifBenchError(
                f"a batch must be a (N, 3, h, w) floating-point tensor, got {tuple(batch.shape)}"
            )
        for lr in batch:
            check_lr(lr)
        made = encode(batch, self.encoder, self.options)
        return tuple(LiifImage(features, self.decoder) for features in made)


def liif_edsr(options: Options, argument: str = "") -> Liif:
    """Load LIIF with the EDSR-baseline encoder.

    Args:
        options: Device, precision, local ensemble and cell rule.
        argument: Path of a checkpoint, the official one where empty; ``PATH?ensemble=off`` or
            ``ensemble=off`` alone, see `variants.read_switches`.

    Raises:
        LiifBenchError: Weights missing, tampered with, or of another architecture; an option that
            is not possible; float16 asked for on the CPU.
    """
    checkpoint, switches = read_switches(argument)
    if checkpoint:
        return _liif(options, WEIGHTS_ID, EDSR_BASELINE, checkpoint, switches)
    check_precision(options)
    weights = Weights(WEIGHTS_ID, lookup(WEIGHTS_ID).sha256)
    official = read_checkpoint(ensure(WEIGHTS_ID))
    return Liif(WEIGHTS_ID, EDSR_BASELINE, official, weights, options, switches)


def rdn_liif(options: Options, argument: str) -> Liif:
    """Load LIIF with the RDN encoder.

    Args:
        options: Device, precision, local ensemble and cell rule.
        argument: Path of a checkpoint, such as the authors' RDN-LIIF, with options as `liif_edsr`.

    Raises:
        LiifBenchError: As `liif_edsr`; no path.
    """
    checkpoint, switches = read_switches(argument)
    if not checkpoint:
        raise LiifBenchError(
            f"model 'rdn-liif:{argument}' needs a checkpoint: write rdn-liif:PATH?{argument}"
        )
    return _liif(options, "rdn-liif", RDN, checkpoint, switches)


def _liif(options: Options, name: str, encoder: str, argument: str, switches: Switches) -> Liif:
    check_precision(options)
    path, shown, weights = user_checkpoint(name, argument)
    checkpoint = read_checkpoint(path, encoder, name)
    check_fits(switches, checkpoint, path)
    return Liif(shown, encoder, checkpoint, weights, options, switches)
