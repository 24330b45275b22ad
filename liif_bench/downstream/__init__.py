"""Downstream: what networks that look at images still see in SR."""

from __future__ import annotations

from liif_bench.registry import Entry, Registry

ONE_CROP = 256
"""Pixels of the shorter side at which ImageNet classifiers are usually scored, on the centre."""

VIEWS = "views"
"""Name of the table of single zoomed views, beside a run's records."""

AUGMENTED = "tta"
"""Name of the table of what is seen in random crops."""

ADAPTED = "memo"
"""Name of the table of what is seen after adapting to them."""

_CLASSIFIERS = "liif_bench.downstream.classifiers"

CLASSIFIERS = Registry(
    "classifier",
    "liif_bench.classifiers",
    [
        *(
            Entry(
                f"efficientnet-lite{number}",
                f"{_CLASSIFIERS}:efficientnet_lite{number}",
                f"EfficientNet-Lite{number}, {side} pixels; its weights come with the registry",
                weights=(f"efficientnet-lite{number}",),
            )
            for number, side in ((0, 224), (1, 240), (2, 260))
        ),
        Entry(
            "timm",
            f"{_CLASSIFIERS}:from_timm",
            "an ImageNet-1k model of timm: weights from its hub, or NAME?checkpoint=FILE",
            "NAME",
            argument_required=True,
        ),
        Entry(
            "open-clip",
            "liif_bench.downstream.zero_shot:from_open_clip",
            "a zero-shot model of open_clip; pretrained: a tag of its hub, or a file",
            "MODEL?pretrained=TAG_OR_FILE",
            argument_required=True,
            requires=("open_clip",),
            extra="open-clip",
        ),
    ],
    members=("name", "sha256", "wnids", "log_probabilities"),
)

__all__ = ["ADAPTED", "AUGMENTED", "CLASSIFIERS", "ONE_CROP", "VIEWS"]
