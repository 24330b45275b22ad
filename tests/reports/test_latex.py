"""LaTeX tables as a person meets them: pdflatex makes pages of them."""

import os
import shutil
import subprocess

import pytest
from frames import made_up, made_up_reference

from liif_bench.reports.formats import render
from liif_bench.reports.tables import build_tables

NASTY = [
    "plain",
    "a_b%c&d#e$f{g}h~i^j\\k",
    "<script>alert('\"|`')</script>",
    "[starts with a bracket",
    "*starred",
    "ünïcødé ß œ",
    "日本語",
    "two\nlines",
]


@pytest.fixture
def pages(tmp_path):
    """A function that returns what pdflatex says of a document's body, and how many pages."""
    program = shutil.which("pdflatex")
    if program is None:
        assert os.environ.get("CI") != "true", "pdflatex is not installed"
        pytest.skip("pdflatex is not installed")

    def compiled(body):
        source = tmp_path / "tables.tex"
        preamble = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
        source.write_text(f"{preamble}{body}\n\\end{{document}}\n", encoding="utf-8")
        done = subprocess.run(
            [program, "-interaction=nonstopmode", "-halt-on-error", source.name],
            cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
        assert (tmp_path / "tables.pdf").read_bytes().startswith(b"%PDF")
        return done.stdout

    return compiled


@pytest.mark.parametrize("layout", ["metrics", "paper", "per-image"])
def test_pdflatex_compiles_every_layout_whatever_names_hold(pages, layout):
    rows = [
        (f"{name} image", scale, name, metric, 20.0 + number)
        for number, name in enumerate(NASTY)
        for scale in (2, 8)
        for metric in ("psnr", "lpips", "feature-mse:vgg16@relu4_3")
    ]
    log = pages(render(build_tables(made_up(rows), layout=layout), "latex"))
    assert "Undefined control sequence" not in log


def test_pdflatex_compiles_published_rows_and_gaps(pages):
    rows = [
        ("baby", 2, "liif-edsr", "psnr", 30.0),
        ("baby", 2, "bicubic", "psnr", "could not_be %read"),
        ("bird", 2, "liif-edsr", "psnr", float("inf")),
        ("bird", 2, "bicubic", "psnr", 25.0),
    ]
    records = made_up(rows, dataset="set5", protocol="liif-benchmark")
    reference = made_up_reference(method="A_B & C%", source="a paper, Table 1")
    pages(render(build_tables(records, None, [reference]), "latex"))
