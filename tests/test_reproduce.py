"""Published numbers on the published images with the published weights."""

import pytest

import liif_bench
from liif_bench.errors import LiifBenchError
from liif_bench.references import shipped_references
from liif_bench.reproduce import reproduce_plan
from liif_bench.suite import make_plan

CONFIRMED = [row for row in shipped_references() if row.verified and row.dataset == "set5"]


@pytest.fixture
def plan(reference_data, weights):
    """A suite with LIIF alone; few scales, as test_reference.py has the others."""
    weights("liif-edsr")

    def make(suite, **wishes):
        return make_plan(suite, models=["liif-edsr"], data_root=reference_data, **wishes)

    return make


@pytest.mark.data
@pytest.mark.weights
def test_set5_is_met_to_the_printed_digit(plan, tmp_path):
    done = reproduce_plan(plan("liif-table2", scales=[4, 8], data=["set5"]), tmp_path / "run")
    assert [(one.scale, one.verdict) for one in done.comparisons] == [(4.0, "met"), (8.0, "met")]
    assert [f"{one.ours:.2f}" for one in done.comparisons] == ["32.24", "26.98"]
    assert not done.missed
    assert done.missing == {}


@pytest.mark.data
@pytest.mark.weights
def test_a_confirmed_value_that_is_missed_is_called_so(plan, tmp_path):
    (row,) = CONFIRMED
    wrong = row.model_copy(update={"values": {8.0: row.values[8.0] + 0.01}})
    at = plan("liif-table2", scales=[8], data=["set5"])
    assert reproduce_plan(at, tmp_path / "run", references=[wrong]).missed
    doubtful = wrong.model_copy(update={"verified": False})
    assert not reproduce_plan(at, tmp_path / "run", references=[doubtful]).missed


@pytest.mark.data
@pytest.mark.weights
def test_missing_sets_are_named_and_the_rest_is_run(plan, tmp_path):
    at = plan("mmagic-liif", scales=[30], data=["set5", "div2k-valid"])
    done = reproduce_plan(at, tmp_path / "run")
    assert list(done.missing) == ["div2k-valid"]
    assert "liif-bench data fetch div2k-valid" in done.missing["div2k-valid"]
    verdicts = {(one.reference.dataset, one.verdict) for one in done.comparisons}
    assert verdicts == {("set5", "far"), ("div2k-valid", "not run")}
    for one in done.comparisons:
        if one.reference.metric == "psnr" and one.ours is not None:
            assert abs(one.difference) < 0.3  # another training run of the same network
        if one.reference.metric == "ssim" and one.ours is not None:
            assert abs(one.difference) < 0.003  # of all three channels it would be 0.005
    assert done.run.records["dataset"].unique().tolist() == ["set5"]


@pytest.mark.data
@pytest.mark.weights
def test_a_scale_without_lr_files_is_not_compared_with_one_that_had_them(plan, tmp_path):
    (row,) = CONFIRMED
    row = row.model_copy(update={"given_scales": (6.0,), "values": {6.0: 29.0}})
    at = plan("liif-table2", scales=[6], data=["set5"])
    (one,) = reproduce_plan(at, tmp_path / "run", references=[row]).comparisons
    assert (one.verdict, one.reason) == ("not run", "the data set has no LR files at x6")


def test_nothing_there_is_an_error(tmp_path):
    at = make_plan("liif-table1", data_root=tmp_path)
    with pytest.raises(LiifBenchError, match=r"'div2k-valid' is not below the data root"):
        reproduce_plan(at, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_suite_without_published_values_is_refused(tmp_path):
    with pytest.raises(LiifBenchError, match="nothing is published for suite 'sample'"):
        reproduce_plan(make_plan("sample"), tmp_path / "run")


@pytest.mark.data
@pytest.mark.weights
def test_records_say_what_made_lr(reference_data, tmp_path, weights):
    weights("liif-edsr")
    run = liif_bench.run(
        data=["set5"], data_root=reference_data, scales=[4, 6], models=["bicubic"], limit=1,
        metrics=["psnr"], protocol="liif-benchmark", out=tmp_path / "run", progress=False,
    )  # fmt: skip
    assert run.records["lr_source"].tolist() == ["given", "pil-bicubic-uint8"]
