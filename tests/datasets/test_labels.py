import pytest

from liif_bench.datasets import load_dataset
from liif_bench.datasets.classes import imagenet_classes
from liif_bench.errors import LiifBenchError

CLASSES = imagenet_classes()


@pytest.fixture
def listing(tmp_path):
    """A function that writes a CSV file beside the images a.png, b.png and sub/c.JPEG."""
    for name in ("a.png", "b.png", "sub/c.JPEG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")

    def write(text, encoding="utf-8"):
        path = tmp_path / "list.csv"
        path.write_bytes(text.encode(encoding))
        return path

    return write


def items_of(path):
    return load_dataset(f"labels:{path}").items


def refusal(path):
    with pytest.raises(LiifBenchError) as error:
        items_of(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_one_label_each(listing, tmp_path):
    path = listing(f"path,label\nsub/c.JPEG,{CLASSES[3]}\na.png,7\n./b.png,999\n")
    items = items_of(path)
    assert [item.name for item in items] == ["sub/c.JPEG", "a.png", "b.png"]  # the file's order
    assert [item.hr_path for item in items] == [tmp_path / item.name for item in items]
    assert [item.labels for item in items] == [(CLASSES[3],), (CLASSES[7],), (CLASSES[999],)]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1;2", (1, 2)),
        ("2 1", (2, 1)),
        (f" {CLASSES[1]} ;  2; ", (1, 2)),
        (f"5;{CLASSES[5]};5", (5,)),
        ("", ()),
        (" ; ", ()),
    ],
)
def test_several_right_answers_or_none(listing, cell, expected):
    (item,) = items_of(listing(f"path,labels\na.png,{cell}\n"))
    assert item.labels == tuple(CLASSES[index] for index in expected)


def test_other_columns_and_empty_lines_are_passed_over(listing):
    path = listing('\r\nwho, labels ,path\r\n"me, you",0,a.png\r\n\r\n,1,b.png\r\n')
    assert [(item.name, item.labels) for item in items_of(path)] == [
        ("a.png", (CLASSES[0],)),
        ("b.png", (CLASSES[1],)),
    ]


def test_a_byte_order_mark_is_no_part_of_the_header(listing):
    (item,) = items_of(listing("path,label\na.png,0\n", "utf-8-sig"))
    assert item.name == "a.png"


def test_the_listing_is_looked_for_here_and_then_below_the_data_root(
    listing, tmp_path, monkeypatch
):
    listing("path,label\na.png,0\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (item,) = load_dataset("labels:list.csv", tmp_path).items
    assert item.hr_path == tmp_path / "a.png"
    (tmp_path / "here/list.csv").write_text("path,label\n../b.png,0\n")
    (item,) = load_dataset("labels:list.csv", tmp_path).items
    assert item.name == "../b.png"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("path,label\na.png,0\nb.png,1000\n", 3, "'1000' is no class of ImageNet-1k"),
        ("path,label\na.png,n00000001\n", 2, "'n00000001' is no class"),
        ("path,label\na.png,tench\n", 2, "'tench' is no class"),
        ("path,labels\n\na.png,0;x\n", 3, "'x' is no class"),
        ("path,label\na.png\n", 2, "1 cells under a header of 2"),
        ("path,labels\na.png,1,2\n", 2, "3 cells under a header of 2: quote"),
        ("path,label\n,0\n", 2, "no path"),
        ("path,label\nlist.csv,0\n", 2, "'list.csv' is no image (.bmp"),
        ("path,label\ngone.png,0\n", 2, "gone.png' does not exist; paths start at"),
        ("path,label\na.png,0\nb.png,0\n./a.png,1\n", 4, "'a.png' is in line 2 already"),
        ('path,label\na.png,0\n"b.png,1\n', 3, "unexpected end of data"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(listing, text, line, what):
    path = listing(text)
    said = refusal(path)
    assert said.startswith(f"'{path}' line {line}: ")
    assert what in said


@pytest.mark.parametrize(
    "header", ["", "a.png,0", "path", "label,name", "path,label,labels", "path;label", "path,path"]
)
def test_a_header_that_does_not_say_which_column_is_which(listing, header):
    path = listing(f"{header}\na.png,0\n")
    said = refusal(path)
    assert f"'{path}' must begin with a line that names one column 'path'" in said


def test_an_empty_file(listing):
    assert "must begin with a line" in refusal(listing(""))
    assert "holds no image" in refusal(listing("path,label\n"))


def test_another_encoding(listing):
    assert "is not in UTF-8" in refusal(listing("path,label\nä.png,0\n", "latin-1"))


def test_no_file(tmp_path):
    assert f"file '{tmp_path}/none.csv' does not exist" in refusal(tmp_path / "none.csv")
    assert f"'{tmp_path}' is a folder; name a file" in refusal(tmp_path)
    with pytest.raises(LiifBenchError, match=r"labels:FILE\.csv"):
        load_dataset("labels")
