import json
import subprocess
import sys

import pytest

from liif_bench.datasets import DATASETS
from liif_bench.errors import LiifBenchError
from liif_bench.metrics import METRICS
from liif_bench.protocol import load_protocol, protocol_names
from liif_bench.references import UNSTATED, matching, read_references, shipped_references
from liif_bench.suite import load_suite
from liif_bench.upsamplers import UPSAMPLERS

FILE = """
metric = "psnr"
decimals = 2
given_scales = [2]
protocol = "liif-div2k"
dataset = "set5"
source = "a paper"
verified = false
retrained = false

[[row]]
method = "one"
values = { 2 = 30.10, "2.5" = 29 }

[[row]]
method = "two"
verified = true
decimals = 4
values = { 8 = 20.5 }
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rows.toml"
    path.write_text(FILE)
    return path


def test_what_stands_at_the_top_counts_for_each_row_unless_it_says_otherwise(file):
    one, two = read_references(file)
    assert (one.method, one.verified, one.decimals) == ("one", False, 2)
    assert (two.method, two.verified, two.decimals) == ("two", True, 4)
    assert one.values == {2.0: 30.1, 2.5: 29.0}
    assert one.source == two.source == "a paper"


def test_values_are_shown_as_printed_and_may_hide_half_a_digit(file):
    one, two = read_references(file)
    assert one.show(2.0) == "30.10"
    assert one.tolerance == 0.005
    assert two.tolerance == pytest.approx(0.00005)


def test_lr_came_from_files_where_the_row_says_so_and_from_the_generator_elsewhere(file):
    one, _ = read_references(file)
    assert one.lr_source(2.0) == "given"
    assert one.lr_source(2.5) == "pil-bicubic-uint8"
    assert one.model_copy(update={"protocol": UNSTATED}).lr_source(2.5) == UNSTATED


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("decimals = 2", "", ["row.0.decimals", "required"]),
        ('method = "one"', 'method = "one"\ncolour = "rgb"', ["row.0.colour", "Extra inputs"]),
        ("values = { 8 = 20.5 }", "values = {}", ["row.1.values", "at least 1"]),
        ("{ 8 = 20.5 }", "{ eight = 20.5 }", ["row.1.values", "eight"]),
        ("[[row]]", "[[rows]]", ["row"]),
        ("decimals = 4", "decimals = 40", ["row.1.decimals", "less than or equal to 10"]),
        ("{ 8 = 20.5 }", "{ 8 = nan }", ["row.1.values.8", "finite"]),
        ("{ 8 = 20.5 }", "{ 0 = 20.5 }", ["row.1.values.0", "greater than or equal to 1"]),
        (FILE, "row = 3", ["write each row under [[row]]"]),
        (FILE, "row = [3, 'x']", ["write each row under [[row]]"]),
    ],
)
def test_a_wrong_file_is_named_with_its_field(file, before, after, words):
    file.write_text(FILE.replace(before, after))
    with pytest.raises(LiifBenchError) as error:
        read_references(file)
    text = str(error.value)
    assert "\n" not in text
    assert str(file) in text
    for word in words:
        assert word in text


def test_the_shipped_rows_name_what_exists():
    for row in shipped_references():
        DATASETS.parse(row.dataset)
        METRICS.parse(row.metric)
        assert row.upsampler is None or UPSAMPLERS.parse(row.upsampler)
        assert row.protocol in [*protocol_names(), UNSTATED]
        assert row.source
        assert set(row.given_scales) <= {2.0, 3.0, 4.0, 8.0}


def test_no_two_shipped_rows_are_the_same():
    keys = [(row.method, row.dataset, row.metric, row.source) for row in shipped_references()]
    assert len(set(keys)) == len(keys)


def test_the_papers_suites_have_their_rows():
    for name, count in (("liif-table1", 2), ("liif-table2", 2), ("mmagic-liif", 6)):
        suite = load_suite(name)
        rows = [
            row
            for row in shipped_references()
            if row.dataset in suite.datasets
            and row.upsampler in suite.models
            and row.metric in suite.metrics
            and row.protocol == suite.protocol
        ]
        assert len(rows) == count, name
        assert all(set(row.values) <= set(suite.scales) for row in rows)


@pytest.mark.data
def test_the_confirmed_rows_are_the_means_of_the_reference_values(reference_data):
    reference = json.loads((reference_data / "reference.json").read_text())
    confirmed = [row for row in shipped_references() if row.verified]
    assert confirmed
    for row in confirmed:
        for scale, value in row.values.items():
            images = reference[row.dataset.capitalize()][f"{scale:g}"].values()
            assert value == pytest.approx(sum(images) / len(images), abs=row.tolerance)


def test_rows_of_another_protocol_do_not_match():
    shared = {"dataset": "set5", "metric": "psnr"}
    under = {
        name: matching(shipped_references(), **shared, protocol_hash=load_protocol(name).hash)
        for name in ("liif-benchmark", "mmagic", "matlab-y")
    }
    assert {row.protocol for row in under["liif-benchmark"]} == {"liif-benchmark"}
    assert {row.protocol for row in under["mmagic"]} == {"mmagic"}
    assert under["matlab-y"] == []
    everything = matching(shipped_references(), **shared)
    assert len(everything) == len(under["liif-benchmark"]) + len(under["mmagic"])


def test_reading_them_takes_no_torch():
    code = "import sys; from liif_bench.references import shipped_references as rows;"
    code += "rows(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
