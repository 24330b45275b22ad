"""A run with a table of patches made up, for tests of what reads them."""

from functools import partial

import numpy as np
from views import run_of

WIDTH = 6


def made_up_patches(items=8, models=("hr", "near", "far"), scales=(2.0, 4.0), each=3, seed=5):
    """Columns of a table of patches: the later the model, the further from HR.

    Args:
        items: Images.
        models: Upsamplers; the first is HR, drawn anew for each image.
        scales: All with the same patches.
        each: Patches of an image.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    table: dict[str, list] = {}
    for number in range(items):
        truth = rng.normal(size=(each, WIDTH)) + rng.normal(size=WIDTH) / 2
        chance = rng.uniform(0.4, 1, each)
        for place, model in enumerate(models):
            for scale in scales:
                for patch in range(each):
                    row = {
                        "dataset": "photos", "item": f"image{number}", "scale": scale,
                        "upsampler": model, "top": 0, "left": 96 * patch,
                        "probability": float(chance[patch] - 0.1 * place),
                        "features": (truth[patch] * (1 + place / 2) + place).tolist(),
                    }  # fmt: skip
                    for column, value in row.items():
                        table.setdefault(column, []).append(value)
    return table


run_of_patches = partial(run_of, name="patches")
