import re
import shlex

import pytest
from commands import call, refused
from explained import facts, numbers
from PIL import Image

from liif_bench.records import load_run

pytestmark = pytest.mark.weights


@pytest.fixture(scope="module")
def whole(weights, tmp_path_factory):
    """A run of LIIF and bicubic on two small pictures, as the default one is: without variants."""
    weights("liif-edsr")
    folder = tmp_path_factory.mktemp("explain")
    for number in range(2):
        picture = Image.effect_mandelbrot((64, 48), (-2 + number, -1, 1 + number / 2, 1), 60)
        (folder / "photos").mkdir(exist_ok=True)
        picture.convert("RGB").save(folder / "photos" / f"picture{number}.png")
    done = call(
        "run", "--data", f"folder:{folder / 'photos'}", "--models", "bicubic,liif-edsr",
        "--metrics", "psnr", "--scales", "2,4", "--protocol", "mmagic",
        "--out", folder / "whole", "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def variants(whole):
    """The run that the explanation of the first one asks for, made by its own words."""
    done = call("explain", whole / "whole", "--format", "markdown")
    assert done.returncode == 0, done.stderr
    (command,) = re.findall(r"(?m)^    liif-bench (run ingredients.*)$", done.stdout)
    made = call(*shlex.split(command), "--metrics", "psnr", "--out", whole / "variants", "-q")
    assert made.returncode == 0, made.stderr
    return whole / "variants"


def test_every_number_is_found_in_the_records_of_a_real_run(whole, variants):
    for run in (whole / "whole", variants):
        text = call("explain", run, "--format", "markdown").stdout
        assert "1,567,299 parameters" in text
        known = facts(load_run(run))
        assert [number for number in numbers(text) if number not in known] == []


def test_the_command_that_a_run_names_measures_what_it_lacks(whole, variants):
    before = call("explain", whole / "whole", "--format", "markdown").stdout
    after = call("explain", variants, "--format", "markdown").stdout
    assert "what each part of the model does" in before
    assert "what each part of the model does" not in after
    assert "(`liif-edsr (nearest latent only)`)" in after
    plans = [load_run(run).manifest["plan"] for run in (whole / "whole", variants)]
    for field in ("scales", "datasets", "protocol_hash"):
        assert plans[0][field] == plans[1][field]


def test_the_figure_is_shown_beside_the_text(variants, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "text" / "answer.md"
    out.parent.mkdir()
    done = call(
        "explain", variants, "--format", "markdown", "-o", out, "--figures", tmp_path / "figures"
    )
    assert done.returncode == 0, done.stderr
    (link,) = re.findall(r"!\[[^]]*\]\(([^)]*)\)", out.read_text())
    with Image.open(out.parent / link) as picture:
        assert picture.format == "PNG"


def test_a_terminal_shows_the_answer_first(variants):
    done = call("explain", variants)
    assert done.returncode == 0, done.stderr
    lines = [line.strip(" ┃│") for line in done.stdout.splitlines()]
    assert next(line for line in lines if line and line[0].isalpha()).startswith(
        "What keeps it real"
    )


def test_refusals_are_one_line(variants, tmp_path):
    for words, said in (
        ([tmp_path], str(tmp_path)),
        ([variants, "-o", tmp_path / "x"], "--output needs --format markdown"),
        ([variants, "--data", "nowhere"], "unknown data set 'nowhere'"),
    ):
        assert said in refused("explain", *words)
