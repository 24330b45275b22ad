"""Records and published rows made up for tests of what reads them."""

import pandas as pd

from liif_bench.records import COLUMNS, to_frame
from liif_bench.references import Reference


def made_up(rows, **columns):
    """A frame of records from rows of (item, scale, upsampler, metric, value or error text)."""
    common = {
        "run": "r", "suite": "s", "suite_version": 1, "protocol": "p", "protocol_hash": "h4sh",
        "dataset": "sample", "lr_source": "pil-bicubic-uint8", "lr_h": 1, "lr_w": 1, "hr_h": 2,
        "hr_w": 2, "weights_sha256": None, "variant": "v", "seconds": 0.1,
    }  # fmt: skip
    frame = pd.DataFrame(
        [
            {
                **common,
                "item": item,
                "scale": float(scale),
                "regime": ("in" if scale <= 4 else "out") if "liif" in upsampler else None,
                "upsampler": upsampler,
                "metric": metric,
                "higher_is_better": metric != "lpips",
                "value": None if isinstance(value, str) else value,
                "error": value if isinstance(value, str) else None,
                **columns,
            }
            for item, scale, upsampler, metric, value in rows
        ],
        columns=list(COLUMNS),
    )
    return frame.astype(to_frame([]).dtypes.to_dict())


def made_up_reference(**fields):
    """A published row of PSNR, confirmed, with some fields of one's own."""
    common = {
        "method": "LIIF", "upsampler": "liif-edsr", "dataset": "set5", "metric": "psnr",
        "protocol": "liif-benchmark", "given_scales": (), "decimals": 2,
        "source": "a paper, Table 1", "verified": True, "retrained": False, "values": {2.0: 30.1},
    }  # fmt: skip
    return Reference(**common | fields)
