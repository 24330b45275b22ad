"""The files of a run: journal, manifest, tables, the index of example crops."""

import json
import math

import numpy as np
import pytest
from hostile.campaign import attack, mutate
from hostile.structures import json_text, structured
from made_runs import usual, write_run

from liif_bench.crops import CropFolder
from liif_bench.records import COLUMNS, Journal, Record, load_run, to_frame, write_table

VIEWS = {"item": ["a", "a"], "rank": [1, None], "kl": [0.5, 0.0]}


def rows_of(item, scale):
    return [
        Record(
            run="r", suite="s", suite_version=1, protocol="p", protocol_hash="h", dataset="d",
            item=item, scale=scale, lr_source="given", lr_h=10, lr_w=12, hr_h=20, hr_w=24,
            regime="in", upsampler=model, weights_sha256=None, metric=metric, variant="v",
            higher_is_better=True, value=value, seconds=0.5, error=None if value else "why",
        )
        for model in ("bicubic", "liif-edsr")
        for metric, value in (("psnr", 30.5), ("lpips", math.inf), ("ssim", None))
    ]  # fmt: skip


@pytest.fixture
def journal(tmp_path):
    """A journal of four cases, one of them with a table."""
    made = Journal(tmp_path / "journal.jsonl")
    for item, scale in (("a", 2.0), ("a", 4.0), ("ünïcode \n x", 2.0), ("d", 30.0)):
        details = {"views": VIEWS} if scale == 4.0 else None
        made.append(("d", item, scale), rows_of(item, scale), details)
    return made


def test_journals(journal):
    """Whatever is done to its bytes, what is read are cases that were written, or it is refused."""
    good = journal.path.read_bytes()
    written = journal.read_cases()

    def read(content):
        journal.path.write_bytes(content)
        cases = journal.read_cases()
        assert all(rows == written.get(key) for key, rows in cases.items())
        frame = to_frame(record for rows in cases.values() for record in rows.records)
        assert list(frame.columns) == list(COLUMNS)
        journal.drop_cut_line()
        assert journal.read_cases() == cases

    read(good)
    lines = good.splitlines(keepends=True)
    assert attack("journals", lambda rng: mutate(rng, good, lines), read).accepted


def test_lines_of_journals_without_checksum(journal):
    """Of an older journal, what is read has the types and the sense that records have."""
    line = json.loads(journal.path.read_bytes().splitlines()[1])
    del line["crc32"]

    def read(entry):
        journal.path.write_bytes(json_text(entry) + b"\n")
        for (dataset, item, scale), rows in journal.read_cases().items():
            assert all((r.dataset, r.item, r.scale) == (dataset, item, scale) for r in rows.records)
            assert not any(r.value is not None and math.isnan(r.value) for r in rows.records)
            to_frame(rows.records)
            for table in rows.details.values():
                assert len({len(column) for column in table.values()}) <= 1

    read(line)
    structured("lines of older journals, by value", line, read)


@pytest.fixture
def run(tmp_path):
    """A small finished run with example crops."""
    return write_run(tmp_path / "run", usual(images=2, scales=(2, 4)))


def test_manifests(run):
    path = run / "manifest.json"
    content = json.loads(path.read_text())

    def read(changed):
        path.write_bytes(changed if isinstance(changed, bytes) else json_text(changed))
        manifest = load_run(run).manifest
        assert isinstance(manifest["schema_version"], int)
        assert manifest["schema_version"] <= 2
        assert isinstance(manifest.get("plan", {}), dict)

    read(content)
    structured("manifests, by value", content, read)
    good = json_text(content)
    attack("manifests, bytes", lambda rng: mutate(rng, good), read)


def test_indices_of_example_crops(run):
    path = run / "crops" / "crops.json"
    content = json.loads(path.read_text())

    def read(changed):
        path.write_bytes(changed if isinstance(changed, bytes) else json_text(changed))
        for crop in CropFolder(run).crops:
            assert (run / "crops" / crop.file).resolve().parent == (run / "crops").resolve()
            assert min(crop.height, crop.width, crop.hr_h, crop.hr_w) > 0

    read(content)
    structured("indices of crops, by value", content, read)
    good = json_text(content)
    attack("indices of crops, bytes", lambda rng: mutate(rng, good), read)


def test_tables_of_records(run):
    """Parquet has checksums of its own; what passes them is what was written."""
    path = run / "records.parquet"
    written = load_run(run).records
    write_table(path, written)
    good = path.read_bytes()

    def read(content):
        path.write_bytes(content)
        records = load_run(run).records
        assert list(records.columns) == list(COLUMNS)
        for column in ("value", "scale"):
            got, expected = (each[column].to_numpy(float) for each in (records, written))
            np.testing.assert_array_equal(got, expected)

    read(good)
    assert attack("records.parquet", lambda rng: mutate(rng, good), read).refused
