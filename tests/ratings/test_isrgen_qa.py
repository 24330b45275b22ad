import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.ratings import load_ratings

# Names as they stand in the published files, with the odd ones among them.
TRAIN = """ATD_x2_0813x2.png#4#0813x2.png
BFSR_EDSR-LINF_x4_802x4.png#2.71428571428571#0819x4.png
SeD_RRDB-SeD_0813x4.png#2.80952380952381#0813x4.png
EDSR-SRNO_x8_0813x8.png#1.0952380952381#0813x8.png
"""
FILES = {
    "train.txt": TRAIN,
    "test.txt": "Real-ESRGAN_x2_0813x2.png#4.23809523809524#0813x2.png",
    "HR/0813.png": None,
    "HR/0819.png": None,
    "LR/x2/0813x2.png": None,
    "SR/ATD_x2_0813x2.png": None,
    "SR/BFSR_EDSR-LINF_x4_802x4.png": None,
    "SR/SeD_RRDB-SeD_0813x4.png": None,
    "SR/EDSR-SRNO_x8_0813x8.png": None,
    "SR/Real-ESRGAN_x2_0813x2.png": None,
}


def test_content_and_scale_are_those_of_lr_whatever_sr_is_called(fill):
    folder = fill(FILES)
    ratings = load_ratings(f"isrgen-qa:{folder}")
    assert [(r.method, r.content_id, r.scale, r.split) for r in ratings] == [
        ("ATD", "0813", 2, "train"),
        ("BFSR_EDSR-LINF", "0819", 4, "train"),
        ("SeD_RRDB-SeD", "0813", 4, "train"),
        ("EDSR-SRNO", "0813", 8, "train"),
        ("Real-ESRGAN", "0813", 2, "test"),
    ]
    assert ratings[0].ref_path == folder / "HR/0813.png"
    assert ratings[0].lr_path == folder / "LR/x2/0813x2.png"
    assert ratings[1].lr_path is None
    assert {each.n_raters for each in ratings} == {21}
    assert ratings[3].score == 1.0952380952381


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ATD_x2_0813x2.png,4,0813x2.png", "train.txt' line 2: .* is not of the form"),
        ("ATD_x2_0813x2.png#4", "line 2: .* is not of the form"),
        ("ATD_x2_0813x2.png#4#0813.png", "line 2: .* is not of the form"),
        ("ATD_x2_0813x2.png##0813x2.png", "line 2: score '' is no number"),
        ("HAT_x2_0813x2.png#4#0813x2.png", "line 2: there is no 'HAT_x2_0813x2.png' below"),
        ("ATD_x2_0813x2.png#4#0999x2.png", "line 2: there is no '0999.png' below"),
    ],
)
def test_a_damaged_line_is_refused_with_file_and_line(fill, line, message):
    folder = fill({**FILES, "train.txt": f"{TRAIN.splitlines()[0]}\n{line}\n"})
    with pytest.raises(LiifBenchError, match=message):
        load_ratings(f"isrgen-qa:{folder}")


def test_a_folder_without_labels_is_refused(fill):
    with pytest.raises(LiifBenchError, match="holds no label file of ISRGen-QA"):
        load_ratings(f"isrgen-qa:{fill({})}")
