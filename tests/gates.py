"""Baselines made up, for tests of the gate and of what lays its report out."""

from liif_bench.analysis.baseline import Cell, Snapshot
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")


def made_up_cell(values, metric="psnr", *, errors=None, **fields):
    """A cell of values by image, or of as many images as there are values."""
    if not isinstance(values, dict):
        values = {f"image{number}": value for number, value in enumerate(values)}
    common = {
        "dataset": "photos", "scale": 4.0, "upsampler": "mine", "metric": metric, "variant": "v",
        "higher_is_better": metric != "lpips", "regime": "in",
    }  # fmt: skip
    return Cell(**common | fields, values=values, errors=errors or {})


def made_up_snapshot(*cells, **fields):
    """The values of a run that holds these cells."""
    common = {
        "run": "run", "suite": "s", "protocol": PROTOCOL.model_dump(),
        "protocol_hash": PROTOCOL.hash, "datasets": {"photos": {"items": 5, "sha256": "d4ta"}},
        "weights": {"mine": "w3ights"}, "versions": {"torch": "2"}, "seconds": {"mine": 1.0},
        "peak_rss_bytes": 2**30,
    }  # fmt: skip
    return Snapshot(**common | fields, cells=cells)
