"""The same records whatever measures them: on Set5 with LIIF, x2 and x4."""

import os

import pandas as pd
import pytest

import liif_bench
from liif_bench.merge import merge_runs

ORDER = ["dataset", "item", "scale", "upsampler", "metric"]


@pytest.fixture(scope="module")
def set5(reference_data, weights, tmp_path_factory):
    """A function that measures Set5 by an engine and returns its sorted records."""
    weights("liif-edsr")
    weights("lpips-alex")
    folder = tmp_path_factory.mktemp("set5")
    known = {}

    def measure(name, **engine):
        if name not in known:
            known[name] = liif_bench.run(
                data=["set5"], data_root=reference_data, scales=[2, 4],
                models=["bicubic", "liif-edsr"], metrics=["psnr", "ssim", "lpips"],
                protocol="liif-benchmark", device="cpu", out=folder / name, progress=False,
                **engine,
            )  # fmt: skip
        return known[name]

    return measure


def as_bytes(run):
    """Sorted records without what may differ, as the bytes of a file."""
    frame = run.records.drop(columns=["run", "seconds"]).sort_values(ORDER, ignore_index=True)
    assert len(frame) == 5 * 2 * 2 * 3
    assert frame["value"].notna().all()
    return frame.to_json(orient="records", double_precision=15).encode() + b"".join(
        value.hex().encode() for value in frame["value"]
    )


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.weights
class TestSet5:
    def test_processes_give_the_bytes_of_one_process(self, set5):
        alone = set5("local", threads=1)
        several = set5("processes", engine="processes", workers=2, threads=1)
        assert as_bytes(several) == as_bytes(alone)

    def test_three_parts_merged_give_them_too(self, set5, tmp_path):
        parts = [set5(f"part{n}", threads=1, shard=f"{n}/3").path for n in (1, 2, 3)]
        assert as_bytes(merge_runs(parts, tmp_path / "merged")) == as_bytes(
            set5("local", threads=1)
        )

    def test_other_numbers_of_threads_agree_within_a_millionth(self, set5):
        one, two = set5("local", threads=1).records, set5("two", threads=2).records
        pd.testing.assert_series_equal(
            one.sort_values(ORDER, ignore_index=True)["value"],
            two.sort_values(ORDER, ignore_index=True)["value"],
            rtol=0, atol=1e-6,
        )  # fmt: skip

    def test_ray_gives_them_too(self, set5):
        if os.environ.get("CI") != "true":  # where it is installed
            pytest.importorskip("ray")
        ray = set5("ray", engine="ray", workers=2, threads=1)
        assert as_bytes(ray) == as_bytes(set5("local", threads=1))
