import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.ratings import load_ratings
from liif_bench.ratings.base import Rating

HEAD = "dataset,content_id,sr_path,ref_path,method,score,higher_is_better"
ALL = f"{HEAD},lr_path,scale,score_std,n_raters,score_scope,split,remark"
IMAGES = {"sr.png": None, "hr.png": None, "low/lr.png": None}


def test_every_column_is_read_and_others_are_not_looked_at(fill):
    row = "mine,cat,sr.png,hr.png,edsr,3.5,false,low/lr.png,2.5,0.4,12,content,test,never mind"
    folder = fill({**IMAGES, "mine.csv": f"{ALL}\n{row}\n"})
    assert load_ratings(str(folder / "mine.csv")) == (
        Rating(
            dataset="mine", content_id="cat", sr_path=folder / "sr.png", ref_path=folder / "hr.png",
            method="edsr", score=3.5, higher_is_better=False, score_scope="content",
            lr_path=folder / "low/lr.png", scale=2.5, score_std=0.4, n_raters=12, split="test",
        ),
    )  # fmt: skip


def test_columns_may_lack_stand_in_any_order_and_hold_nothing(fill):
    text = (
        "score, method ,higher_is_better,ref_path,sr_path,content_id,dataset,scale\n\n"
        '1e2,"a, b",YES,hr.png,sr.png,cat,mine,\n'
    )
    folder = fill({**IMAGES, "mine.csv": text})
    (rating,) = load_ratings("mine.csv", folder)  # below the data root
    assert (rating.score, rating.method, rating.higher_is_better) == (100, "a, b", True)
    assert (rating.scale, rating.lr_path, rating.score_scope, rating.split) == (
        None,
        None,
        "global",
        "",
    )


GOOD = "mine,cat,sr.png,hr.png,edsr,3.5,true"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there must be one column 'dataset'"),
        (HEAD.replace("score,", "mos,"), "line 1: there must be one column 'score'"),
        (f"{HEAD},score\n", "line 1: there must be one column 'score'"),
        (f"{HEAD}\n{GOOD}\nmine,cat\n", "line 3: as many cells as there are columns"),
        (f"{HEAD}\n{GOOD},1\n", "line 2: as many cells as there are columns"),
        (f"{HEAD}\n{GOOD.replace('3.5', 'good')}\n", "line 2: score 'good' is no number"),
        (f"{HEAD}\n{GOOD.replace('3.5', 'nan')}\n", "line 2: score 'nan' is no number"),
        (f"{HEAD}\n{GOOD.replace('true', 'up')}\n", "line 2: higher_is_better 'up' is neither"),
        (f"{HEAD}\n{GOOD.replace('cat', '')}\n", "line 2: 'content_id' is empty"),
        (f"{HEAD}\n{GOOD.replace('hr.png', 'no.png')}\n", "line 2: '.*no.png' does not exist"),
        (f"{HEAD},scale\n{GOOD},0.5\n", "line 2: scale '0.5' is below 1"),
        (f"{HEAD},n_raters\n{GOOD},2.5\n", "line 2: n_raters '2.5' is no count"),
        (
            f"{HEAD},score_scope\n{GOOD},all\n",
            "line 2: score_scope 'all' is none of global, content",
        ),
        (f'{HEAD}\n{GOOD}\n"mine', "line 3: unexpected end of data"),
        (f"{HEAD}\n", "hold no rated image"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_with_its_line(fill, text, message):
    folder = fill({**IMAGES, "mine.csv": text})
    with pytest.raises(LiifBenchError, match=message) as caught:
        load_ratings(str(folder / "mine.csv"))
    assert "\n" not in str(caught.value)
    assert "mine.csv" in str(caught.value)


def test_bytes_that_are_no_text_are_refused(fill):
    folder = fill(IMAGES)
    (folder / "mine.csv").write_bytes(HEAD.encode() + b"\n\xff\xfe")
    with pytest.raises(LiifBenchError, match="not in UTF-8"):
        load_ratings(str(folder / "mine.csv"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere.csv", "file 'nowhere.csv' does not exist"),
        ("pipa:x", "unknown ratings 'pipa': did you mean pipal"),
        ("pipal", "ratings 'pipal' needs an argument: write ratings as pipal:PATH"),
        ("pipal:nowhere", "folder 'nowhere' does not exist"),
    ],
)
def test_ratings_that_there_are_not_are_refused(tmp_path, spec, message):
    with pytest.raises(LiifBenchError, match=message):
        load_ratings(spec, tmp_path)
