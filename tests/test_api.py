"""The Python API as the README shows it."""

import pytest
import torch

import liif_bench


@pytest.mark.weights
def test_load_upsampler_encodes_once_and_renders_many(weights):
    weights("liif-edsr")
    torch.manual_seed(0)
    image = liif_bench.load_upsampler("liif-edsr", device="cpu").encode(torch.rand(3, 12, 16))
    assert image.render((24, 32)).shape == (3, 24, 32)
    assert image.render((100, 37)).shape == (3, 100, 37)


def test_wrong_names_are_liif_bench_errors():
    with pytest.raises(liif_bench.LiifBenchError, match="did you mean bicubic"):
        liif_bench.load_upsampler("bicubik")
    with pytest.raises(liif_bench.LiifBenchError, match="unknown suite"):
        liif_bench.run(suite="nothing", progress=False)
    with pytest.raises(liif_bench.LiifBenchError, match="is not a run"):
        liif_bench.load_run("/nowhere")


def test_run_returns_records_as_a_frame(photo_folder, tmp_path):
    run = liif_bench.run(
        data=[f"folder:{photo_folder(count=1)}"],
        scales=[2, 4],
        models=["bicubic"],
        metrics=["psnr"],
        out=tmp_path / "out",
        progress=False,
    )
    means = run.records.groupby("scale")["value"].mean()
    assert means[2.0] > means[4.0]
