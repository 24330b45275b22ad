"""Downstream: what networks that look at images still see in SR."""

from __future__ import annotations

from liif_bench.registry import Entry, Registry

ONE_CROP = 256
"""Pixels of the shorter side at which ImageNet classifiers are usually scored, on the centre."""

CROPS = 64
"""Random crops of an image that test-time augmentation looks at."""

VIEWS = "views"
"""Name of the table of single zoomed views, beside a run's records."""

FEATURES = "features"
"""Name of the table of dense features by encoder and route, beside a run's records."""

EMBEDDINGS = "embeddings"
"""Name of the table of features pooled over an image, by encoder."""

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

_ENCODERS = "liif_bench.downstream.encoders"
_STAGES = {1: 2, 2: 4, 3: 8, 4: 16, 5: 32}  # stage -> stride
_LAYERS = {"relu1_2": 1, "relu2_2": 2, "relu3_3": 4, "relu4_3": 8, "relu5_3": 16}

ENCODERS = Registry(
    "encoder",
    "liif_bench.encoders",
    [
        *(
            Entry(
                f"efficientnet-lite{number}@{stage}",
                f"{_ENCODERS}:efficientnet_lite{number}.stage{stage}",
                f"stage {stage} of EfficientNet-Lite{number}, stride {stride}",
                weights=(f"efficientnet-lite{number}",),
            )
            for number in range(3)
            for stage, stride in _STAGES.items()
        ),
        *(
            Entry(
                f"vgg16@{layer}",
                f"{_ENCODERS}:vgg16.{layer}",
                f"layer {layer} of VGG16, stride {stride}",
                weights=("lpips-vgg",),
            )
            for layer, stride in _LAYERS.items()
        ),
        Entry(
            "timm",
            f"{_ENCODERS}:from_timm",
            "patch tokens of a vision transformer of timm (DINOv2, CLIP, SigLIP, ...): weights from"
            " its hub, or NAME?checkpoint=FILE",
            "NAME",
            argument_required=True,
        ),
    ],
    members=("name", "sha256", "stride", "native", "features"),
)

__all__ = [
    "ADAPTED",
    "AUGMENTED",
    "CLASSIFIERS",
    "CROPS",
    "EMBEDDINGS",
    "ENCODERS",
    "FEATURES",
    "ONE_CROP",
    "VIEWS",
]
