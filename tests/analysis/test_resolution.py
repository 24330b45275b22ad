import pytest
from frames import made_up

from liif_bench.analysis.resolution import Resolution, resolutions
from liif_bench.errors import LiifBenchError
from liif_bench.records import Run


def run_of(rows, tmp_path):
    made_up(rows).to_parquet(tmp_path / "records.parquet")
    return Run(tmp_path, {})


def rows_of(model, per_hr, item="edge", missing=()):
    """Records of both metrics from MTF50 per HR pixel by scale."""
    return [
        (item, scale, model, metric, "lost" if scale in missing else value * factor)
        for scale, value in per_hr.items()
        for metric, factor in (("mtf50", 1), ("mtf50-lr", scale))
    ]


@pytest.mark.parametrize(
    ("per_lr", "stops"),
    [
        ({2: 0.5, 4: 0.5, 8: 0.5}, 2),  # never grows
        ({2: 0.4, 4: 0.5, 8: 0.51}, 4),
        ({2: 0.4, 4: 0.5, 8: 0.6}, None),  # still grows at the end
        ({2: 0.4, 4: 0.41, 8: 0.5}, None),  # a pause is no end
        ({2: 0.4, 4: 0.5, 8: 0.4, 30: 0.3}, 4),  # falls again
        ({4: 0.5}, None),
    ],
)
def test_where_it_stops_growing(per_lr, stops):
    per_lr = {float(scale): value for scale, value in per_lr.items()}
    assert Resolution("scenes", "m", per_lr, per_lr, 3).stops == stops


def test_means_over_edges_by_model_and_scale(tmp_path):
    rows = rows_of("hr", {4: 0.6, 2: 0.6}) + rows_of("bicubic", {4: 0.1, 2: 0.2})
    rows += rows_of("bicubic", {4: 0.12, 2: 0.22}, item="other")
    hr, bicubic = resolutions(run_of(rows, tmp_path))
    assert (hr.upsampler, hr.edges, hr.dataset) == ("hr", 1, "sample")
    assert list(bicubic.per_hr) == [2, 4]
    assert bicubic.edges == 2
    assert bicubic.per_hr == pytest.approx({2: 0.21, 4: 0.11})
    assert bicubic.per_lr == pytest.approx({2: 0.42, 4: 0.44})


def test_only_edges_with_every_scale_count(tmp_path):
    """Else a scale at which the hardest edge failed would look better than the others."""
    rows = rows_of("bicubic", {2: 0.2, 4: 0.1})
    rows += rows_of("bicubic", {2: 0.4, 4: 0.3}, item="lost at x4", missing=[4])
    (bicubic,) = resolutions(run_of(rows, tmp_path))
    assert bicubic.edges == 1
    assert bicubic.per_hr == pytest.approx({2: 0.2, 4: 0.1})


def test_a_run_without_edges(tmp_path):
    with pytest.raises(LiifBenchError, match="liif-bench run scenes"):
        resolutions(run_of([("a", 2, "bicubic", "psnr", 30.0)], tmp_path))
