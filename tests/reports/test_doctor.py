import io

import pytest
from rich.console import Console

from liif_bench.doctor import Diagnosis, Machine, Part, Place
from liif_bench.reports.doctor import print_diagnosis

MACHINE = Machine(
    system="Linux x86_64", python="3.11.7", device="cuda", gpus=("NVIDIA X1", "NVIDIA X2"),
    precisions=("float32", "bfloat16", "float16"), cores=1, threads=1,
    threading={"OMP_NUM_THREADS": "1"}, memory=8 << 30, memory_free=3 << 30,
)  # fmt: skip
PARTS = (
    Part("model", "liif-edsr", "liif-edsr[:CHECKPOINT]", "to fetch", "first use fetches 17 MB",
         "liif-bench weights fetch liif-edsr"),
    Part("metric", "mine", "mine[:ARGUMENT]", "broken", "[red]ImportError[/]: " + "words " * 30),
    Part("dataset", "b100", "b100", "missing", "not there", "liif-bench data fetch b100"),
)  # fmt: skip


def shown(width, problems=(), remarks=()):
    found = Diagnosis(
        version="1.2", packages={f"package{number}": f"{number}.0" for number in range(15)},
        machine=MACHINE, cache=Place("/c/[x]", True, False, 200 << 20, 5 << 30),
        data_root=Place("/d", False, True, None, 5 << 30), parts=PARTS,
        remarks=remarks, problems=problems,
    )  # fmt: skip
    out = io.StringIO()
    print_diagnosis(found, Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_screen(width):
    text = shown(width)
    assert max(map(len, text.splitlines())) <= width
    for words in (
        "liif-bench 1.2 on Python 3.11.7, Linux x86_64",
        "auto takes cuda (NVIDIA X1, NVIDIA X2)",
        "float32, bfloat16, float16",
        "1 on 1 core; OMP_NUM_THREADS=1",
        "8.0 GiB, 3.0 GiB free",
        "/c/[x] (200 MiB held, 5.0 GiB free on its disk, cannot be",
        "/d (not there)",
        "liif-edsr[:CHECKPOINT]",
        "[red]ImportError[/]: words",
        "not there: liif-bench data fetch b100",
        "'liif-bench run' (suite sample) is ready to run",
    ):
        assert words in text


def test_problems_and_notes_are_whole_lines_to_copy():
    problem = "model 'x': " + "long " * 40 + "pip install 'x'"
    lines = shown(80, problems=(problem,), remarks=("numpy is old",)).splitlines()
    assert f"problem: {problem}" in lines
    assert "note: numpy is old" in lines
    assert not any("ready to run" in line for line in lines)
