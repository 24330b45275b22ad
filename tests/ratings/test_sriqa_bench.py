import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.ratings import load_ratings

FILES = {
    "MOS/online20.txt": "online20_Original.png,100.0\nonline20_SwinIRx4.png,41.5\n"
    "online20_RealESRGANx4.png 73.25\n",
    "images/Original/online20_Original.png": None,
    "images/SwinIR/online20_SwinIRx4.png": None,
    "images/RealESRGAN/online20_RealESRGANx4.png": None,
    "LRImages/online20_Original.png": None,
}


def test_sr_is_read_with_its_references_and_compared_within_its_content_alone(fill):
    folder = fill(FILES)
    ratings = load_ratings(f"sriqa-bench:{folder}")
    assert [(each.method, each.score, each.scale) for each in ratings] == [
        ("SwinIR", 41.5, 4),
        ("RealESRGAN", 73.25, 4),
    ]
    for each in ratings:
        assert (each.content_id, each.score_scope, each.n_raters) == ("online20", "content", 10)
        assert each.ref_path == folder / "images/Original/online20_Original.png"
        assert each.lr_path == folder / "LRImages/online20_Original.png"
        assert each.higher_is_better


def test_lr_may_be_left_out(fill):
    files = {name: text for name, text in FILES.items() if not name.startswith("LRImages")}
    assert {each.lr_path for each in load_ratings(f"sriqa-bench:{fill(files)}")} == {None}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "x1_SwinIRx4.png,50",
            r"online20.txt' line 1: 'x1_Sw.*' is not of the form online20_SwinIR",
        ),
        ("online20_SwinIRx4.png", "line 1: .* is not of the form"),
        ("online20_SwinIRx4.png,best", "line 1: score 'best' is no number"),
        ("online20_HATx4.png,50", "line 1: '.*images/HAT/online20_HATx4.png' does not exist"),
    ],
)
def test_a_damaged_line_is_refused_with_file_and_line(fill, line, message):
    folder = fill({**FILES, "MOS/online20.txt": line})
    with pytest.raises(LiifBenchError, match=message):
        load_ratings(f"sriqa-bench:{folder}")


def test_a_folder_without_labels_is_refused(fill):
    with pytest.raises(LiifBenchError, match="holds no label file of SRIQA-Bench"):
        load_ratings(f"sriqa-bench:{fill({})}")
