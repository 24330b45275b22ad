import json

import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.ratings import load_ratings

ROW = {
    "gt_file_name": "gt/1.png", "sr_file_name": "sr/PURE_1.png", "sample_id": "PURE_1",
    "image_id": "1", "method": "PURE", "human_score": 3.7, "n_ratings": 21,
}  # fmt: skip
IMAGES = {"test/gt/1.png": None, "test/sr/PURE_1.png": None}


def test_pairs_are_read_and_more_hallucination_is_worse(fill):
    folder = fill({**IMAGES, "test/metadata.jsonl": json.dumps(ROW) + "\n\n"})
    (rating,) = load_ratings(f"vha-bench:{folder}")
    assert (rating.content_id, rating.method, rating.score, rating.n_raters) == (
        "1",
        "PURE",
        3.7,
        21,
    )
    assert not rating.higher_is_better
    assert rating.sr_path == folder / "test/sr/PURE_1.png"
    assert rating.ref_path == folder / "test/gt/1.png"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "metadata.jsonl' line 1: no JSON"),
        ("[1]", "line 1: no field 'gt_file_name'"),
        (json.dumps({**ROW, "human_score": "high"}), "line 1: human_score 'high' is no number"),
        (json.dumps({**ROW, "n_ratings": "many"}), "line 1: n_ratings 'many' is no number"),
        (json.dumps({k: v for k, v in ROW.items() if k != "method"}), "line 1: no field 'method'"),
        (json.dumps({**ROW, "sr_file_name": "no.png"}), "line 1: '.*no.png' does not exist"),
    ],
)
def test_a_damaged_line_is_refused_with_file_and_line(fill, text, message):
    folder = fill({**IMAGES, "test/metadata.jsonl": text})
    with pytest.raises(LiifBenchError, match=message) as caught:
        load_ratings(f"vha-bench:{folder}")
    assert "\n" not in str(caught.value)


def test_there_must_be_one_listing(fill):
    folder = fill(IMAGES)
    with pytest.raises(LiifBenchError, match="holds 0 files"):
        load_ratings(f"vha-bench:{folder}")
