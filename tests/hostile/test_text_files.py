"""Files that people write: suites, protocols, rules, baselines, references, labels, ratings."""

import json
import math
from pathlib import Path

import pytest
from hostile.campaign import attack, mutate
from hostile.structures import json_text as as_json
from hostile.structures import structured, toml_text

import liif_bench
from liif_bench.analysis.baseline import load_snapshot
from liif_bench.analysis.gate import gate, read_rules
from liif_bench.datasets.labels import read_labels
from liif_bench.protocol import load_protocol, to_toml
from liif_bench.ratings import load_ratings
from liif_bench.references import read_references
from liif_bench.reports.gate import gate_grids, json_text, junit_text, markdown_summary
from liif_bench.reports.grids import render_grids
from liif_bench.shipped import read_toml, suites_folder
from liif_bench.suite import load_suite, make_plan

GATE = Path(liif_bench.__file__).parent / "analysis" / "gate.toml"


def contents(folder, pattern):
    return [path.read_bytes() for path in sorted(folder.glob(pattern))]


def campaign(target, path, good, read, write=None):
    """Damage good files, which are read, byte by byte; where there is `write`, by value as well."""

    def written(content):
        path.write_bytes(content)
        return read(path)

    for content in good:
        written(content)
    if write is not None:
        parse = read_toml if write is toml_text else lambda path: json.loads(path.read_bytes())
        path.write_bytes(good[0])
        tree = dict(parse(path))
        written(write(tree))
        structured(f"{target}, by value", tree, lambda damaged: written(write(damaged)))
    return attack(f"{target}, bytes", lambda rng: mutate(rng, rng.choice(good), good), written)


def test_suite_files(tmp_path):
    def read(path):
        suite = load_suite(str(path))
        assert all(math.isfinite(scale) and scale >= 1 for scale in suite.scales)
        assert suite.models
        assert make_plan(str(path)).scales

    good = contents(suites_folder(), "*.toml")
    assert campaign("suite files", tmp_path / "x.toml", good, read, toml_text).refused


def test_protocol_files(tmp_path):
    good = contents(suites_folder() / "protocols", "*.toml")
    path = tmp_path / "x.toml"

    def read(path):
        protocol = load_protocol(str(path))
        again = path.with_name("again.toml")
        again.write_text(to_toml(protocol))
        assert load_protocol(str(again)).hash == protocol.hash

    assert campaign("protocol files", path, good, read, toml_text).refused


def test_rules_of_the_gate(tmp_path):
    good = [GATE.read_bytes()]
    tally = campaign("gate rules", tmp_path / "x.toml", good, read_rules, toml_text)
    assert tally.refused


def test_reference_files(tmp_path):
    def read(path):
        for reference in read_references(path):
            for scale in reference.values:
                assert reference.show(scale)
            assert reference.protocol_hash is None or len(reference.protocol_hash) == 12

    good = contents(suites_folder() / "references", "*.toml")
    assert campaign("reference files", tmp_path / "x.toml", good, read, toml_text).refused


BASELINE = {
    "baseline": 1, "run": "r", "suite": "s",
    "protocol": load_protocol("liif-benchmark").model_dump(),
    "protocol_hash": "0123456789ab", "datasets": {"set5": {"items": 3, "sha256": "ab"}},
    "weights": {"liif-edsr": "cd"}, "versions": {"torch": "2"}, "seconds": {"bicubic": 0.5},
    "peak_rss_bytes": 1 << 30,
    "cells": [
        {
            "dataset": "set5", "scale": scale, "upsampler": model, "metric": "psnr", "variant": "y",
            "higher_is_better": True, "values": {"a": 30.5, "b": 31.25, "c": "inf"},
            "errors": {"d": "broken"},
        }
        for scale in (2.0, 4.0) for model in ("bicubic", "liif-edsr")
    ],
}  # fmt: skip


def test_baseline_files(tmp_path):
    good = tmp_path / "good.json"
    good.write_text(json.dumps(BASELINE, indent=1))
    reference = load_snapshot(good)
    rules = read_rules()

    def read(path):
        kept = load_snapshot(path)
        for cell in kept.cells:
            assert not any(math.isnan(value) for value in cell.values.values())
            assert math.isfinite(cell.scale)
        for pair in ((kept, reference), (reference, kept)):
            report = gate(*pair, rules)
            junit_text(report), markdown_summary(report, path), json_text(report)
            render_grids(gate_grids(report, everything=True), "csv")

    content = [good.read_bytes()]
    assert campaign("baseline files", tmp_path / "x.json", content, read, as_json).refused


@pytest.fixture
def pictures(tmp_path):
    """A folder of files that listings may name."""
    for name in ("a.png", "b.png", "c.png", "n01440764_tench.JPEG"):
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_label_files(pictures):
    good = [
        b"path,label\na.png,n01440764\nb.png,7\n",
        b'path,labels,note\r\na.png,"1;2 3",x\r\nc.png,,"of, none"\r\n',
    ]

    def read(path):
        for item in read_labels(path):
            assert item.hr_path.exists()
            assert all(label.startswith("n") for label in item.labels)

    assert campaign("label files", pictures / "x.csv", good, read).refused


HEAD = "dataset,content_id,sr_path,ref_path,method,score,higher_is_better"
RATED = [
    f"{HEAD}\nd,1,a.png,b.png,m,3.5,true\nd,2,b.png,a.png,m,4,no\n".encode(),
    f"{HEAD},lr_path,scale,score_std,n_raters,score_scope,split\n"
    "d,1,a.png,b.png,m,3.5,true,c.png,4,0.5,12,content,train\n".encode(),
]


def check_ratings(ratings):
    for rating in ratings:
        assert math.isfinite(rating.score)
        assert rating.sr_path.exists()
        assert rating.ref_path.exists()
        assert rating.n_raters is None or rating.n_raters >= 1


def test_tables_of_ratings(pictures):
    def read(path):
        check_ratings(load_ratings(f"csv:{path}"))

    assert campaign("ratings, csv", pictures / "x.csv", RATED, read).refused
