"""Tables of agreement: what stands in them and what is said below."""

import numpy as np
import pandas as pd

from liif_bench.reports.agreement import agreement_grids


def table_of(dataset="people", scope="global", methods=2, contents=3, each=4):
    rng = np.random.default_rng(4)
    rows = [
        {
            "dataset": dataset, "content_id": f"c{content}", "item": f"{content}{method}{number}",
            "method": f"m{method}", "scale": 4.0, "score": float(number),
            "score_higher_is_better": True, "score_scope": scope, "split": "", "metric": metric,
            "higher_is_better": True, "value": number + noise * rng.normal(), "error": None,
        }
        for metric, noise in (("poor", 5.0), ("good", 0.0))
        for content in range(contents)
        for method in range(methods)
        for number in range(each)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_there_is_a_table_per_level_and_one_by_method_the_best_metric_first():
    grids = agreement_grids(table_of())
    assert [grid.title for grid in grids] == [
        "people: agreement within method",
        "people: agreement within content",
        "people: agreement pooled",
        "people: Spearman's rho by method",
    ]
    for grid in grids[:3]:
        assert [row[0] for row in grid.rows] == ["good", "poor"]
        assert grid.rows[0][1] == "24"
        assert grid.rows[0][2] == "1.00 [1.00, 1.00]"
        assert any("3 contents" in note for note in grid.notes)
    assert grids[0].rows[0][4] == "–"  # four images are too few for a logistic
    assert grids[3].columns == ("metric", "m0", "m1")
    assert ("good", "1.00", "1.00") in grids[3].rows


def test_scores_of_one_content_alone_are_not_pooled_and_many_methods_have_no_table():
    grids = agreement_grids(table_of(scope="content", methods=13))
    assert [grid.title for grid in grids] == [
        "people: agreement within method",
        "people: agreement within content",
    ]


def test_what_failed_and_what_has_no_meaning_is_said():
    table = table_of(each=3)
    table.loc[0, ["value", "error"]] = [np.nan, "the file is broken"]
    scenes = table_of(each=3).assign(
        metric="mtf50", value=np.nan, error="not applicable: no slanted edge"
    )
    first, *others = (grid.notes for grid in agreement_grids(pd.concat([table, scenes])))
    assert "poor: 1 images without a value: the file is broken" in first
    assert "without a meaning for these images: mtf50" in first
    assert not any("mtf50" in note for notes in others for note in notes)  # said once


def test_damage_of_known_order_is_told_from_ratings():
    notes = [" ".join(g.notes) for g in agreement_grids(table_of("graded", "method"))]
    assert "its order, by strength, is known by construction" in notes[0]
    assert "the order between kinds of damage is not known" in notes[1]
    assert "the order between kinds of damage is not known" in notes[2]


def test_a_metric_that_failed_everywhere_has_dashes():
    table = table_of()
    table.loc[table["metric"] == "poor", ["value", "error"]] = [np.nan, "no weights"]
    grid, *_, pooled, _ = agreement_grids(table)
    assert grid.rows[1] == pooled.rows[1] == ("poor", *["–"] * 5)
    assert "poor: 24 images without a value: no weights" in grid.notes
