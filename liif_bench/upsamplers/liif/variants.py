"""Variants of LIIF on the same weights: one ingredient of its decoder switched off.

What a variant lacks, its weights were trained with. So it shows what this network's answer owes to
the ingredient, not what a network trained without it would do, which is what the paper's Table 3
shows (arXiv 2012.09161).
"""

from __future__ import annotations

from pathlib import Path

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.liif.checkpoint import Checkpoint
from liif_bench.upsamplers.liif.decoder import Switches
from liif_bench.upsamplers.options import choose, split_options

_CHOICES = {"ensemble": ("off",), "coord": ("centre",), "cell": ("x1", "x2", "x4", "clip")}


def read_switches(argument: str) -> tuple[str, Switches]:
    """Read what is switched off from a model's argument.

    Args:
        argument: ``PATH``, ``PATH?ensemble=off&cell=x2``, or the options alone. A file whose name
            looks like options is named as ``./name``.

            - ``ensemble=off``: the nearest latent code answers alone, with its relative
              coordinate.
            - ``coord=centre``: a latent code answers as for its own centre; what is left of the
              place within an LR pixel is the blend of four such answers.
            - both: the nearest latent code only, one colour per LR pixel.
            - ``cell=x1``, ``x2``, ``x4``: the cell of that scale, at every scale; ``cell=clip``:
              never smaller than at x4, the end of the training range.

    Returns:
        The path, which may be empty, and the switches.

    Raises:
        LiifBenchError: An option that there is not, given twice, or with an impossible value.
    """
    path, given = split_options(argument, _CHOICES)
    if not given and (alone := split_options(f"?{argument}", _CHOICES))[1]:
        path, given = alone
    for name, value in given.items():
        choose(name, value, _CHOICES[name])
    switches = Switches("ensemble" not in given, "coord" not in given, given.get("cell", ""))
    return path, switches


def switched_off(switches: Switches) -> dict[str, str]:
    """Return switches as the options that say them, for a run's manifest; empty if all is on."""
    options = {
        "ensemble": "" if switches.ensemble else "off",
        "coord": "" if switches.coordinate else "centre",
        "cell": switches.cell,
    }
    return {name: value for name, value in options.items() if value}


def named(model: str, switches: Switches) -> str:
    """Return a model's name in tables with what is switched off, as ``liif-edsr (cell x2)``."""
    if not (switches.ensemble or switches.coordinate):
        words = ["nearest latent only"]
    else:
        words = ["ensemble off"] * (not switches.ensemble)
        words += ["coordinate at centre"] * (not switches.coordinate)
    if switches.cell:
        words.append("cell clipped" if switches.cell == "clip" else f"cell {switches.cell}")
    return f"{model} ({', '.join(words)})" if words else model


def check_fits(switches: Switches, checkpoint: Checkpoint, path: Path) -> None:
    """Refuse a rule for the cell where the MLP is told none.

    Raises:
        LiifBenchError: The checkpoint was trained without the cell.
    """
    if switches.cell and not checkpoint.cell_decode:
        raise LiifBenchError(
            f"option cell={switches.cell} is not possible: '{path}' was trained without the cell"
        )
