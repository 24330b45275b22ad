"""Runs written by hand, with crops, for tests of what reads them."""

import io
import json

import numpy as np
from frames import made_up
from PIL import Image

from liif_bench.crops import HR, LR, Crop, CropFolder
from liif_bench.records import MANIFEST, RECORDS

SIDE = 64


def write_run(folder, frame, crops=True, **manifest):
    """Write records as a finished run, with crops of its first two images unless `crops` is off.

    The crop of model number n of a case is of one grey, `level_of(n)`, with one white pixel in the
    middle: whoever shows it can be checked.
    """
    folder.mkdir(parents=True)
    models = [str(name) for name in frame["upsampler"].unique()]
    content = {
        "schema_version": 2, "run": folder.name, "created": "2026-01-02T03:04:05+00:00",
        "finished": "2026-01-02T03:14:05+00:00", "wall_seconds": 600.0, "cases": 3, "errors": 0,
        "command": ["liif-bench", "run"],
        "plan": {
            "suite": "sample", "suite_version": 2, "protocol": "p", "protocol_hash": "h4sh",
            "limit": None, "models": dict.fromkeys(models), "model_settings": {},
            "datasets": dict.fromkeys(frame["dataset"]), "scales": sorted(set(frame["scale"])),
        },
        "request": {"models": models, "datasets": sorted(set(frame["dataset"])), "data_root": None},
        "protocol": {}, "versions": {"liif-bench": "1"}, "git": None,
        "machine": {"device": "cpu", "threads": 2},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(content | manifest))
    frame.to_parquet(folder / RECORDS)
    if crops:
        kept = CropFolder(folder)
        cases = frame[["dataset", "item", "scale"]].drop_duplicates()
        items = list(dict.fromkeys(cases["item"]))[:2]
        for dataset, item, scale in cases.itertuples(index=False):
            if item in items:
                kept.add(crops_of((dataset, item, float(scale)), models, items.index(item), kept))
    return folder


def crops_of(key, models, place, folder):
    """The crops of a case, each with its PNG."""
    return [
        (
            Crop(*key, name, folder.free_file(key, name, ()), 0, 0, SIDE, SIDE, 96, 128),
            grey(level_of(number, key[2], place)),
        )
        for number, name in enumerate([HR, LR, *models])
    ]


def level_of(number, scale, item=0):
    """The grey of a crop: by its place among HR, LR and the models, by scale and image."""
    return 20 + 30 * number + int(scale) + 12 * item


def grey(level):
    """A PNG of one grey with a white pixel in the middle."""
    pixels = np.full((SIDE, SIDE, 3), level, np.uint8)
    pixels[SIDE // 2, SIDE // 2] = 255
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def usual(images=3, scales=(2, 4, 8), models=("bicubic", "liif-edsr"), metrics=("psnr", "lpips")):
    """Records in which the later model is the better one, by more on later images."""
    return made_up(
        [
            (f"image{n}", scale, model, metric, value(metric, scale, place, n))
            for n in range(images)
            for scale in scales
            for place, model in enumerate(models)
            for metric in metrics
        ]
    )


def value(metric, scale, place, n):
    """What model number `place` has on image n."""
    better = place * (1 + 0.1 * n)
    return 40 - scale + better + n if metric == "psnr" else 0.9 - 0.2 * better / (1 + n)
