"""Runs to explain, and the numbers that may stand in an explanation, worked out on their own."""

import json
import re

import numpy as np
from frames import made_up
from scipy.stats import wilcoxon

from liif_bench.analysis.stats import paired
from liif_bench.records import MANIFEST, RECORDS, load_run

SWITCHES = {
    "liif-edsr (ensemble off)": {"ensemble": "off"},
    "liif-edsr (coordinate at centre)": {"coord": "centre"},
    "liif-edsr (cell x2)": {"cell": "x2"},
}
NETWORK = {
    "encoder": "EDSR-baseline", "encoder_parameters": 1220416, "encoder_reach": 34,
    "channels": 64, "mlp_parameters": 346883, "mlp_layers": 5, "mlp_inputs": 580,
    "mlp_width": 256, "unfolded": 9, "cell": 2,
}  # fmt: skip
DECIMALS = {"psnr": 2, "lpips": 4}


def specs(models):
    """How models are named on the command line."""
    options = {
        name: "&".join(f"{option}={value}" for option, value in switches.items())
        for name, switches in SWITCHES.items()
    }
    return [f"liif-edsr:{options[name]}" if name in options else name for name in models]


def rows_of(value, models, images=8, scales=(2, 4, 8), metrics=("psnr", "lpips")):
    """Rows for `frames.made_up`; `value(model, metric, scale, image)` says what was measured."""
    return [
        (f"image{image}", scale, model, metric, value(model, metric, scale, image))
        for image in range(images)
        for scale in scales
        for model in models
        for metric in metrics
    ]


def write_run(folder, rows, manifest=None, **columns):
    """Write a run of made-up records; its models are those of the rows."""
    folder.mkdir(parents=True)
    frame = made_up(rows, **{"lr_h": 12, "lr_w": 16, "hr_h": 96, "hr_w": 128, **columns})
    models = list(dict.fromkeys(frame["upsampler"]))
    shas = {name: "5ha" if "liif" in name else None for name in models}
    content = {
        "schema_version": 2,
        "run": folder.name,
        "finished": "2026-01-01",
        "plan": {
            "suite": "ingredients", "suite_version": 7, "protocol": "liif-div2k",
            "protocol_hash": "h4sh", "limit": None, "models": shas,
            "model_settings": {name: SWITCHES[name] for name in models if name in SWITCHES},
        },
        "request": {"datasets": ["sample"], "models": specs(models), "data_root": None},
        "protocol": {"network": {"local_ensemble": True}},
        "machine": {"device": "cpu", "threads": 2},
        "networks": {name: NETWORK for name in models if "liif" in name},
        "stages": {
            f"{name}: {stage}": 1.25 * (n + 1)
            for n, name in enumerate(models)
            for stage in ("encode", "render")
        },
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps({**content, **(manifest or {})}))
    frame.to_parquet(folder / RECORDS)
    return load_run(folder)


def numbers(text):
    """The numbers of a text, as written, with their sign; none of code, commands or links."""
    text = re.sub(r"(?m)^    .*$", "", text)
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|h4sh|\([0-9a-f]{12}\)", " ", text)
    return re.findall(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?", text)


def facts(run, whole="liif-edsr", baseline="bicubic", edges=None):
    """Every number that an explanation of a run may hold, as written; straight from its files."""
    records, manifest = run.records, run.manifest
    found = {"95", "0.05", f"{records['item'].nunique()}", f"{manifest['plan']['suite_version']}"}
    found |= {f"{scale:g}" for scale in records["scale"].unique()}
    variants = [name for name in manifest["plan"]["models"] if name.startswith(f"{whole} (")]
    for metric, decimals in DECIMALS.items():
        mine = records[records["metric"] == metric]
        table = mine.pivot(index=["scale", "item"], columns="upsampler", values="value")
        compared = 0
        for other in [baseline, *variants]:
            if other not in table:
                continue
            for _, part in table.groupby(level="scale"):
                one, two = part[whole].to_numpy(), part[other].to_numpy()
                compared += other != baseline
                found.add(f"{np.mean(one):.{decimals}f}")
                estimate = paired(one, two)
                interval = (estimate.difference.low, estimate.difference.high)
                for value in (np.mean(one - two), *interval):
                    found.add(f"{round(float(value), decimals) + 0.0:+.{decimals}f}")
                found.add(f"{estimate.detectable:.{decimals}f}")
                p = wilcoxon(one, two, method="exact").pvalue if (one != two).all() else 1.0
                found |= {f"{p:.3f}", "0.001"}
        found.add(f"{compared}")
    for row in records.dropna(subset="lr_h").itertuples():
        found |= {f"{side}" for side in (row.lr_h, row.lr_w, row.hr_h, row.hr_w)}
        found.add(f"{row.hr_h * row.hr_w:,}")
    found |= {"3", "50"}  # colours, and the 50 of MTF50
    for switches in manifest["plan"].get("model_settings", {}).values():
        found |= {value[1:] for value in switches.values() if value.startswith("x")}
    network = manifest.get("networks", {}).get(whole, {})
    found |= {f"{value:,}" for value in network.values() if isinstance(value, int)}
    if network:
        found.add(f"{network['encoder_parameters'] + network['mlp_parameters']:,}")
        rest = network["mlp_inputs"] - network["unfolded"] * network["channels"] - network["cell"]
        found.add(f"{rest}")
    found |= {f"{value:.1f}" for value in manifest.get("stages", {}).values()}
    found.add(f"{manifest['machine']['threads']}")
    once = records.drop_duplicates(["item", "scale", "upsampler"])
    for mean in once.groupby(["upsampler", "scale"])["seconds"].mean():
        found.add(f"{mean:.3f}")
    if edges is not None:
        found.add("5")  # per cent of growth
        of_lr = edges.records[edges.records["metric"] == "mtf50-lr"]
        found |= {f"{scale:g}" for scale in of_lr["scale"].unique()}
        for mean in of_lr.groupby(["upsampler", "scale"])["value"].mean():
            found.add(f"{mean:.3f}")
    return found
