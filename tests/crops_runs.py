"""A run with pooled features of crops made up, for tests of what is trained on them."""

import numpy as np

from liif_bench.datasets.classes import imagenet_classes
from liif_bench.datasets.kinds import kinds
from liif_bench.records import (
    SCHEMA_VERSION,
    CaseRows,
    Record,
    load_run,
    write_details,
    write_manifest,
    write_records,
)

CHANNELS = 12


def made_up_crops(
    rng, *, images=12, classes=4, ranked=True, harm=True, scales=(4.0, 8.0), encoder="made"
):
    """Tables of embeddings and of scores (lower is better), by model.

    An image of HR lies around the place of its kind, which is the same for every `rng`. `good`
    crops lie where HR lies, `bad` ones where the next kind does, if they are to do harm.

    Args:
        rng: What draws.
        images: Of each kind.
        classes: How many kinds.
        ranked: Whether the score is that of the model, or drawn.
        harm: Whether bad crops are bad.
        scales: Of the crops.
        encoder: Its name.
    """
    places = np.random.default_rng(5).normal(0, 1, (classes, CHANNELS))
    features, scores = [], []
    for number, kind in enumerate(kinds()[:classes]):
        wnid = imagenet_classes()[next(kind.indices())]
        for image in range(images):
            hr = places[number] + rng.normal(0, 1.2, CHANNELS)
            other = places[(number + 1) % classes] + rng.normal(0, 1.2, CHANNELS)
            for scale in scales:
                crops = {"hr": hr, "good": hr + rng.normal(0, 0.1, CHANNELS)}
                crops["bad"] = (other if harm else hr) + rng.normal(0, 0.1, CHANNELS)
                for model, values in crops.items():
                    where = {
                        "dataset": "crops", "item": f"{wnid}_{image}", "scale": scale,
                        "upsampler": model,
                    }  # fmt: skip
                    features.append(
                        {**where, "encoder": encoder, "labels": wnid, "embedding": values.tolist()}
                    )
                    rank = {"hr": 0, "good": 1, "bad": 2}[model] if ranked else 0
                    scores.append({**where, "value": rank + rng.uniform(0, 0.5)})
    return features, scores


def run_of_crops(folder, features, scores, metric="lpips", *, higher_is_better=False):
    """A finished run that keeps these features and scores."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, {"schema_version": SCHEMA_VERSION, "finished": "2026"})
    table = {name: [row[name] for row in features] for name in features[0]}
    write_details(folder, [CaseRows([], {"embeddings": table})])
    write_records(
        folder,
        [
            Record(
                run="r", suite="s", suite_version=1, protocol="p", protocol_hash="h",
                lr_source="given", lr_h=56, lr_w=56, hr_h=224, hr_w=224, regime=None,
                weights_sha256=None, metric=metric, variant="v",
                higher_is_better=higher_is_better, seconds=0.1, error=None, **row,
            )
            for row in scores
        ],
    )  # fmt: skip
    return load_run(folder)
