"""A run with a table of features made up, for tests of what reads them."""

from functools import partial

import numpy as np
from views import run_of

ROUTES = ("image", "bilinear")
CHANNELS = 5


def made_up_features(
    items=6, models=("hr", "bicubic", "better"), scales=(4.0, 8.0), encoder="made"
):
    """Columns of a table of features, and the features: a dict by item, `(tokens, channels)`.

    The later the model and the smaller the scale, the nearer to HR; `hr` is HR where it is encoded.
    """
    rng = np.random.default_rng(5)
    table: dict[str, list] = {}
    truths = {}
    for number in range(items):
        item = f"image{number}"
        truth = truths[item] = rng.normal(number / 3, 1, (10 + number, CHANNELS))
        for scale in scales:
            for place, model in enumerate(models):
                for route in ROUTES:
                    error = rng.uniform(0.5, 0.6) * scale / (1 + place)
                    error *= 0 if (model, route) == ("hr", "image") else 1
                    error *= 2 if route == "bilinear" else 1
                    row = {
                        "dataset": "photos", "item": item, "scale": scale, "upsampler": model,
                        "encoder": encoder, "route": route, "mse": error, "cosine": 1 - error / 9,
                        "tokens": len(truth), "channels": CHANNELS,
                        "hr_sums": truth.sum(axis=0).tolist(),
                        "hr_squares": float((truth**2).sum()),
                    }  # fmt: skip
                    for column, value in row.items():
                        table.setdefault(column, []).append(value)
    return table, truths


run_of_features = partial(run_of, name="features")
