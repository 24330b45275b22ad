import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.ratings import load_ratings

LABELS = "A0001_00_00.bmp,1520.0648\r\nA0001_05_03.bmp,1437.0798\r\n"
FILES = {
    "Train_Label/A0001.txt": LABELS,
    "Train_Ref/A0001.bmp": None,
    "Distortion_1/A0001_00_00.bmp": None,
    "Distortion_1/A0001_05_03.bmp": None,
}
OTHER_COPY = {
    "MOS_Scores_train/A0001.txt": LABELS,
    "Reference_train/A0001.bmp": None,
    "Distortion/Distortion_1/A0001_00_00.bmp": None,
    "Distortion/Distortion_1/A0001_05_03.bmp": None,
}


@pytest.mark.parametrize("files", [FILES, OTHER_COPY], ids=["Train_Label", "MOS_Scores_train"])
def test_labels_are_read_wherever_the_folders_lie(fill, files):
    ratings = load_ratings(f"pipal:{fill(files)}")
    assert [(each.content_id, each.method, each.score) for each in ratings] == [
        ("A0001", "type 00", 1520.0648),
        ("A0001", "type 05", 1437.0798),
    ]
    assert [each.sr_path.name for each in ratings] == ["A0001_00_00.bmp", "A0001_05_03.bmp"]
    assert {each.ref_path.name for each in ratings} == {"A0001.bmp"}
    assert {(r.scale, r.lr_path, r.score_scope, r.split) for r in ratings} == {
        (None, None, "global", "train")
    }
    assert all(each.higher_is_better for each in ratings)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Train_Label/A0001.txt": "A0001_00_00.bmp 1520"}, "A0001.txt' line 1: '.*' is not of"),
        ({"Train_Label/A0001.txt": "\nA0002_00_00.bmp,1520"}, "A0001.txt' line 2: .* is not of"),
        ({"Train_Label/A0001.txt": "A0001_00_00.bmp,high"}, "line 1: score 'high' is no number"),
        ({"Train_Label/A0001.txt": "A0001_09_00.bmp,1"}, "line 1: there is no 'A0001_09_00.bmp' b"),
        ({"copy/A0001_00_00.bmp": None}, "have one name: keep one of them"),
    ],
)
def test_damaged_copies_are_refused_in_one_line(fill, changed, message):
    folder = fill({**FILES, **changed})
    with pytest.raises(LiifBenchError, match=message) as caught:
        load_ratings(f"pipal:{folder}")
    assert "\n" not in str(caught.value)


def test_a_folder_without_labels_is_refused(fill):
    folder = fill({"notes.txt": "A0001_00_00.bmp,1520"})
    with pytest.raises(LiifBenchError, match="holds no label file of PIPAL"):
        load_ratings(f"pipal:{folder}")
