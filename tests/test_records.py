import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from frames import made_up
from made_runs import write_run

from liif_bench.errors import LiifBenchError
from liif_bench.records import (
    COLUMNS,
    SCHEMA_VERSION,
    CaseRows,
    Journal,
    Record,
    failures,
    joined,
    load_run,
    to_frame,
    value_or_error,
    write_details,
    write_manifest,
    write_records,
    write_whole,
)


def record(**changes):
    fields = {
        "run": "r",
        "suite": "sample",
        "suite_version": 1,
        "protocol": "liif-div2k",
        "protocol_hash": "abc",
        "dataset": "sample",
        "item": "chelsea",
        "scale": 2.0,
        "lr_source": "given",
        "lr_h": 10,
        "lr_w": 12,
        "hr_h": 20,
        "hr_w": 24,
        "regime": "in",
        "upsampler": "liif-edsr",
        "weights_sha256": "00",
        "metric": "psnr",
        "variant": "RGB",
        "higher_is_better": True,
        "value": 30.0,
        "seconds": 0.5,
        "error": None,
    }
    return Record(**(fields | changes))


KEY = ("sample", "chelsea", 2.0)


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal.jsonl")


def test_a_journal_gives_back_what_it_was_given(journal):
    rows = [record(), record(metric="ssim", value=None, error="why"), record(value=math.inf)]
    journal.append(KEY, rows)
    journal.append(("sample", "ünïcode \n x", 2.5), [record(item="ünïcode \n x", scale=2.5)])
    assert journal.read() == {
        KEY: rows,
        ("sample", "ünïcode \n x", 2.5): [record(item="ünïcode \n x", scale=2.5)],
    }


@pytest.mark.parametrize("cut", [1, 2, 50, 400])
def test_a_cut_last_line_is_dropped_and_the_rest_survives(journal, cut):
    journal.append(KEY, [record()])
    whole = journal.path.read_bytes()
    journal.append(("sample", "coffee", 2.0), [record(item="coffee")])
    journal.path.write_bytes(journal.path.read_bytes()[:-cut])
    assert journal.read() == {KEY: [record()]}
    journal.drop_cut_line()
    assert journal.path.read_bytes() == whole
    journal.append(("sample", "rocket", 2.0), [record(item="rocket")])
    assert list(journal.read()) == [KEY, ("sample", "rocket", 2.0)]


def test_the_later_line_of_a_case_counts(journal):
    journal.append(KEY, [record(value=None, error="no weights")])
    journal.append(KEY, [record()])
    assert journal.read() == {KEY: [record()]}


def test_a_damaged_line_in_the_middle_is_named(journal):
    journal.append(KEY, [record()])
    journal.path.write_bytes(b"garbage\n" + journal.path.read_bytes())
    with pytest.raises(LiifBenchError, match=r"journal\.jsonl' line 1 is damaged"):
        journal.read()


def test_a_line_of_the_first_schema_is_refused_in_one_line(journal):
    journal.append(KEY, [record()])
    older = journal.path.read_text().replace('"lr_source": "given", ', "")
    journal.path.write_text(re.sub(r', "crc32": "\w{8}"', "", older))
    with pytest.raises(LiifBenchError, match=r"line 1 .*lr_source.*start anew") as error:
        journal.read()
    assert "\n" not in str(error.value)


VIEWS = {"item": ["chelsea", "chelsea"], "rank": [1, None], "top": ["n1", "n2"], "kl": [0.5, 0.0]}


def test_a_journal_keeps_tables_with_the_records_of_their_case(journal):
    other = ("sample", "coffee", 2.0)
    journal.append(KEY, [record()], {"views": VIEWS})
    journal.append(other, [record(item="coffee")])
    assert journal.read_cases() == {
        KEY: CaseRows([record()], {"views": VIEWS}),
        other: CaseRows([record(item="coffee")]),
    }
    journal.append(KEY, [record(value=31.0)], {"views": {"item": ["chelsea"], "rank": [2]}})
    again = journal.read_cases()[KEY]  # the later line counts, table and all
    assert again.records[0].value == 31.0
    assert again.details["views"]["rank"] == [2]


def test_tables_are_joined_with_gaps_where_a_column_is_missing():
    assert joined([]) == {}
    assert joined([{"a": [1]}, {}, {"b": ["x", "y"], "a": [2, 3]}, {"b": ["z"]}]) == {
        "a": [1, 2, 3, None],
        "b": [None, "x", "y", "z"],
    }


def test_a_table_is_the_same_from_the_journal_and_from_its_file(tmp_path):
    write_manifest(tmp_path, {"schema_version": SCHEMA_VERSION, "finished": None})
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(KEY, [record()], {"views": VIEWS})
    journal.append(("sample", "coffee", 2.0), [record(item="coffee")])
    before = load_run(tmp_path).details("views")
    assert before["item"].tolist() == ["chelsea"] * 2
    assert before["rank"].isna().tolist() == [False, True]
    write_details(tmp_path, journal.read_cases().values())
    assert (tmp_path / "views.parquet").is_file()
    (tmp_path / "journal.jsonl").unlink()
    pd.testing.assert_frame_equal(load_run(tmp_path).details("views"), before)
    assert load_run(tmp_path).details("nothing").empty


def test_frames_have_the_contracts_columns_and_types():
    frame = to_frame(
        [record(), record(value=None, lr_source=None, lr_h=None, regime=None, error="x")]
    )
    assert tuple(frame.columns) == COLUMNS
    assert frame["value"].dtype == "float64"
    assert frame["lr_h"].dtype == "Int64"
    assert tuple(to_frame([]).columns) == COLUMNS


def test_failures_leave_out_what_has_no_meaning():
    frame = to_frame(
        [record(), record(value=None, error="broken"), record(error="not applicable: no label")]
    )
    assert failures(frame)["error"].tolist() == ["broken"]


def test_a_nan_is_an_error_and_infinity_a_value():
    assert value_or_error(math.inf) == (math.inf, None)
    assert value_or_error(math.nan) == (None, "the metric is not a number here")


class TestRunFolders:
    @staticmethod
    def make(folder, **changes):
        write_manifest(folder, {"schema_version": SCHEMA_VERSION, "finished": None} | changes)

    def test_a_finished_run_is_read_from_parquet(self, tmp_path):
        self.make(tmp_path, finished="2026")
        write_records(tmp_path, [record(value=math.inf), record(value=None, error="x")])
        run = load_run(tmp_path)
        assert run.finished
        assert run.records["value"].iloc[0] == math.inf
        assert math.isnan(run.records["value"].iloc[1])

    def test_an_unfinished_one_from_its_journal(self, tmp_path):
        self.make(tmp_path)
        Journal(tmp_path / "journal.jsonl").append(KEY, [record()])
        run = load_run(str(tmp_path))
        assert not run.finished
        assert run.records["value"].tolist() == [30.0]

    def test_a_run_of_the_first_schema_lacks_where_lr_came_from(self, tmp_path):
        self.make(tmp_path, schema_version=1, finished="2026")
        frame = to_frame([record(), record(value=None, error="x")]).drop(columns="lr_source")
        frame.to_parquet(tmp_path / "records.parquet", index=False)
        records = load_run(tmp_path).records
        assert tuple(records.columns) == COLUMNS
        assert records["lr_source"].isna().all()
        assert records["value"].iloc[0] == 30.0
        assert records["lr_h"].tolist() == [10, 10]

    def test_where_lr_came_from_survives_the_file(self, tmp_path):
        self.make(tmp_path, finished="2026")
        rows = [record(), record(lr_source="pil-bicubic-uint8"), record(lr_source=None, error="x")]
        write_records(tmp_path, rows)
        sources = load_run(tmp_path).records["lr_source"]
        assert sources.tolist()[:2] == ["given", "pil-bicubic-uint8"]
        assert sources.isna().tolist() == [False, False, True]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{", "is damaged"),
            ("[]", "is damaged"),
            ("{}", "is damaged"),
            (json.dumps({"schema_version": SCHEMA_VERSION + 1}), "upgrade liif-bench"),
        ],
    )
    def test_a_manifest_that_cannot_be_read_is_named(self, tmp_path, text, message):
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(LiifBenchError, match=message):
            load_run(tmp_path)

    def test_a_folder_without_a_manifest_is_no_run(self, tmp_path):
        with pytest.raises(LiifBenchError, match=r"has no manifest\.json"):
            load_run(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.md"
    write_whole(path, b"old")
    (tmp_path / ".table.md.partial").mkdir()  # makes the next write fail before it begins
    with pytest.raises(OSError, match="partial"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("name", [".", "..", "folder"])
def test_a_folder_is_not_written_to_as_a_file(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(Path(name), b"new")
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]


def test_reading_a_run_never_imports_torch(tmp_path):
    TestRunFolders.make(tmp_path)
    write_records(tmp_path, [record()])
    code = (
        "import sys, liif_bench, liif_bench.reports.formats as formats;"
        "import liif_bench.reports.tables as tables;"
        f"run = liif_bench.load_run({str(tmp_path)!r});"
        "print(formats.render(tables.build_tables(run.records), 'markdown'));"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "liif-edsr" in done.stdout


# Checksums and shapes


def test_names_that_are_no_text_come_back_from_a_journal(journal):
    rows = [record(item="caf\udce9")]
    journal.append(("sample", "caf\udce9", 2.0), rows)
    assert journal.read() == {("sample", "caf\udce9", 2.0): rows}


def test_no_byte_of_a_journal_changes_unnoticed(journal):
    """CRC-32 finds every change of one byte; what it is stored in is looked at, too."""
    journal.append(KEY, [record()], {"views": VIEWS})
    whole = journal.path.read_bytes()
    for place in range(len(whole) - 1):
        for other in {whole[place] ^ 1, whole[place] ^ 0x20, ord("1"), ord("\n")} - {whole[place]}:
            journal.path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            if other == 0:  # as the loss of power leaves a last line, whose case is measured again
                assert journal.read() == {}
                continue
            with pytest.raises(LiifBenchError, match="line 1 is damaged"):
                journal.read()


def test_a_line_without_a_checksum_is_read_all_the_same(journal):
    journal.append(KEY, [record()])
    unsealed = re.sub(rb', "crc32": "\w{8}"', b"", journal.path.read_bytes())
    assert unsealed != journal.path.read_bytes()
    journal.path.write_bytes(unsealed)
    assert journal.read() == {KEY: [record()]}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('"records": [', '"others": 1, "records": ['),
        ('"value": 30.0', '"value": "30.0"'),
        ('"value": 30.0', '"value": true'),
        ('"value": 30.0', '"value": NaN'),
        ('"hr_h": 20', '"hr_h": 9223372036854775808'),
        ('"item": "chelsea", "scale": 2.0, "lr', '"item": "coffee", "scale": 2.0, "lr'),
        ('"scale": 2.0, "records"', '"scale": "2.0", "records"'),
        ('"views": {', '"views": 3, "more": {'),
        ('"rank": [1, null]', '"rank": [1]'),
        ('"rank": [1, null]', '"rank": ' + "[" * 5000),
    ],
)
def test_a_line_that_says_something_impossible_is_refused(journal, good, bad):
    journal.append(KEY, [record()], {"views": VIEWS})
    line = re.sub(r', "crc32": "\w{8}"', "", journal.path.read_text())
    assert good in line
    journal.path.write_text(line.replace(good, bad))
    with pytest.raises(LiifBenchError, match="line 1 is damaged"):
        journal.read()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"schema_version": "2"}, "schema_version"),
        ({"run": None}, "run"),
        ({"plan": []}, "plan"),
        ({"plan": {"scales": [0.5]}}, "plan.scales.0"),
        ({"plan": {"models": ["bicubic"]}}, "plan.models"),
        ({"wall_seconds": "long"}, "wall_seconds"),
        ({"peak_rss_bytes": 10**30}, "peak_rss_bytes"),
        ({"command": "ls"}, "command"),
    ],
)
def test_a_manifest_with_a_wrong_field_is_refused(tmp_path, changes, field):
    run = write_run(tmp_path / "run", made_up([("a", 2.0, "bicubic", "psnr", 30.0)]), crops=False)
    content = json.loads((run / "manifest.json").read_text())
    assert load_run(run).finished
    (run / "manifest.json").write_text(json.dumps(content | changes))
    with pytest.raises(LiifBenchError, match=rf"manifest\.json' is damaged: {field}"):
        load_run(run)


def test_a_field_that_a_manifest_lacks_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "manifest.json").write_text('{"schema_version": 2, "plan": {}}')
    manifest = load_run(tmp_path).manifest
    for fields, name in ((manifest, "protocol"), (manifest["plan"], "protocol_hash")):
        with pytest.raises(LiifBenchError, match=rf"manifest\.json' .* lacks '{name}'"):
            fields[name]
    assert manifest.get("protocol", "none") == "none"


def test_a_manifest_that_is_nested_too_deeply_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text('{"plan": ' + "[" * 100_000)
    with pytest.raises(LiifBenchError, match="is damaged"):
        load_run(tmp_path)


def test_a_damaged_table_of_records_is_refused(tmp_path):
    run = write_run(tmp_path / "run", made_up([("a", 2.0, "bicubic", "psnr", 30.0)]), crops=False)
    path = run / "records.parquet"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(LiifBenchError, match=r"records\.parquet' is damaged"):
        _ = load_run(run).records
