"""``liif-bench agreement`` as a user types it."""

import csv
import io

import numpy as np
import pytest
from commands import call, refused
from PIL import Image


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("agreement") / "out"
    done = call("agreement", "--metrics", "psnr", "--limit", "2", "--out", folder)
    assert done.returncode == 0, done.stderr
    return folder, done


def test_without_ratings_the_sample_photographs_are_damaged(measured):
    folder, done = measured
    for words in (
        "graded: agreement within method",
        "graded: agreement within content",
        "graded: agreement pooled",
        "wrong-texture",
    ):
        assert words in done.stdout
    assert "1.00 [1.00, 1.00]" in done.stdout
    assert "agreement.parquet" in done.stderr
    assert (folder / "agreement.parquet").is_file()


def test_what_was_measured_is_shown_again_in_any_format(measured, tmp_path):
    folder, done = measured
    assert call("agreement", folder).stdout == done.stdout
    target = tmp_path / "table.csv"
    shown = call("agreement", folder, "--format", "csv", "-o", target)
    assert (shown.returncode, shown.stdout) == (0, ""), shown.stderr
    (row, *_) = csv.DictReader(io.StringIO(target.read_text()))
    assert (row["metric"], row["images"], row["Spearman"]) == ("psnr", "60", "1.00 [1.00, 1.00]")


def test_ratings_of_ones_own_are_scored(tmp_path):
    rng = np.random.default_rng(0)
    lines = ["dataset,content_id,sr_path,ref_path,method,scale,score,higher_is_better"]
    hr = rng.integers(40, 200, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(hr).save(tmp_path / "hr.png")
    for number, scale in enumerate((2, 3, 4, 6, 8, 12)):
        sr = hr + rng.integers(0, 4 * number + 2, hr.shape)
        Image.fromarray(sr.astype(np.uint8)).save(tmp_path / f"{scale}.png")
        lines.append(f"mine,cat,{scale}.png,hr.png,net,{scale},{number},no")
    (tmp_path / "mine.csv").write_text("\n".join(lines))
    done = call(
        "agreement", "--ratings", "mine.csv", "--metrics", "psnr", "--out", "o", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "mine: agreement pooled" in done.stdout
    assert "mine, in distribution, up to x4: agreement pooled" in done.stdout
    assert "mine, out of distribution, beyond x4: agreement pooled" in done.stdout


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--metrics", "psrn"], "unknown metric 'psrn': did you mean psnr"),
        (["--ratings", "nowhere.csv"], "file 'nowhere.csv' does not exist"),
        (["--ratings", "pipal"], "needs an argument: write ratings as pipal:PATH"),
        (["nowhere"], "'nowhere' holds no agreement.parquet"),
        (["nowhere", "--metrics", "psnr"], "--metrics and --out are for measuring"),
        (["-o", "x.md"], "--output needs --format markdown or csv"),
    ],
)
def test_bad_usage_is_one_line(given, message, tmp_path):
    assert message in refused("agreement", *given, cwd=tmp_path)
