import subprocess
import sys

import pytest
from pydantic import ValidationError

from liif_bench import shipped
from liif_bench import suite as suite_module
from liif_bench.errors import LiifBenchError
from liif_bench.protocol import load_protocol, to_toml
from liif_bench.registry import Entry
from liif_bench.suite import (
    check_scale,
    load_suite,
    make_plan,
    parse_scales,
    split_names,
    suite_names,
)
from liif_bench.upsamplers import UPSAMPLERS

GOOD = """
name = "mine"
version = 3
description = "Two photographs"
protocol = "liif-benchmark"
datasets = ["sample"]
scales = [2, 3.7]
models = ["bicubic", "lanczos"]
metrics = ["psnr", "ssim"]
"""


@pytest.fixture
def suite_file(tmp_path):
    """A function that writes a suite file, some lines replaced, and returns its path."""

    def write(old="", new=""):
        assert old in GOOD
        path = tmp_path / "mine.toml"
        path.write_text(GOOD.replace(old, new) if old else GOOD + new)
        return str(path)

    return write


def refusal(function, *arguments, **options):
    with pytest.raises(LiifBenchError) as error:
        function(*arguments, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


# Models that a suite may do without, and whose code they run


def test_an_optional_model_is_left_out_where_it_cannot_run(suite_file, monkeypatch):
    path = suite_file(
        'models = ["bicubic", "lanczos"]',
        'models = ["bicubic", "needy"]\noptional = ["needy"]',
    )
    missing = Entry("needy", "json:dumps", "", requires=("far_away",), extra="far")
    monkeypatch.setitem(UPSAMPLERS.builtin, "needy", missing)
    plan = make_plan(path)
    assert plan.models == ("bicubic",)
    assert plan.left_out == (
        "left out of suite 'mine': model 'needy' needs far_away, which is not installed:"
        " pip install 'liif-bench[far]'",
    )
    assert make_plan(path, models=["needy"]).models == ("needy",)  # asked for: refused when loaded
    there = Entry("needy", "json:dumps", "", requires=("json",), extra="far")
    monkeypatch.setitem(UPSAMPLERS.builtin, "needy", there)
    assert make_plan(path).models == ("bicubic", "needy")
    assert make_plan(path).left_out == ()


def test_what_is_optional_must_be_among_the_models(suite_file):
    assert "optional" in refusal(load_suite, suite_file(new='optional = ["nearest"]\n'))


def test_a_suite_cannot_name_a_model_that_runs_somebody_elses_code(suite_file, monkeypatch):
    path = suite_file('models = ["bicubic", "lanczos"]', 'models = ["shell:rm"]')
    shell = Entry("shell", "json:dumps", "", "ARGV", True, foreign="a program")
    monkeypatch.setitem(UPSAMPLERS.builtin, "shell", shell)
    assert "runs a program: if you trust it" in refusal(make_plan, path)
    assert make_plan(path, models=["shell:ls"]).models == ("shell:ls",)


# Lists on the command line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", [2]),
        ("2,4,8,30", [2, 4, 8, 30]),
        (" 2.5 , 3.7,11.3 ", [2.5, 3.7, 11.3]),
        ("1", [1]),
        ("2,,4,", [2, 4]),
        ("1e1", [10]),
        ("4,2,4", [4, 2, 4]),
    ],
)
def test_parse_scales(text, expected):
    got = parse_scales(text)
    assert got == expected
    assert all(isinstance(scale, float) for scale in got)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" , ,", "empty"),
        ("two", "'two' is not a number"),
        ("2;4", "'2;4' is not a number"),
        ("2,x4", "'x4' is not a number"),
        ("2 4", "'2 4' is not a number"),
        ("0.5", "0.5 is not possible"),
        ("0.999", "0.999 is not possible"),
        ("4,0", "0 is not possible"),
        ("-2", "-2 is not possible"),
        ("nan", "nan is not possible"),
        ("inf", "inf is not possible"),
        ("1e999", "inf is not possible"),
    ],
)
def test_bad_scales(text, words):
    assert words in refusal(parse_scales, text)


def test_check_scale_gives_a_float():
    assert check_scale(3) == 3.0
    assert isinstance(check_scale(3), float)


def test_split_names():
    assert split_names(" bicubic, liif-edsr:a b.pth ,", "model") == ["bicubic", "liif-edsr:a b.pth"]
    assert refusal(split_names, " , ", "model") == "the list of models is empty: give at least one"


# Suites


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_makes_a_plan(name):
    suite = load_suite(name)
    assert suite.name == name
    plan = make_plan(name)
    assert plan.suite == name
    assert plan.suite_version == suite.version
    assert plan.protocol == load_protocol(suite.protocol)
    assert plan.scales == suite.scales
    assert plan.models == suite.models
    assert plan.metrics == suite.metrics
    assert plan.datasets == suite.datasets


def test_the_default_suite():
    assert "sample" in suite_names()
    assert make_plan().suite == "sample"
    assert make_plan().scales == (2.0, 4.0, 8.0, 30.0)


def test_a_users_suite(suite_file):
    plan = make_plan(suite_file())
    assert (plan.suite, plan.suite_version) == ("mine", 3)
    assert plan.protocol.name == "liif-benchmark"
    assert plan.scales == (2.0, 3.7)
    assert plan.models == ("bicubic", "lanczos")
    assert plan.metrics == ("psnr", "ssim")
    assert (plan.limit, plan.device, plan.seed) == (None, "auto", 0)


def test_a_users_protocol(suite_file, tmp_path):
    mine = load_protocol("liif-div2k").changed({"ssim.window": "full"})
    path = tmp_path / "own.toml"
    path.write_text(to_toml(mine))
    for plan in (
        make_plan(suite_file(), protocol=str(path)),
        make_plan(suite_file('protocol = "liif-benchmark"', f"protocol = '{path}'")),
    ):
        assert plan.protocol.name == "own"
        assert plan.protocol.hash == mine.hash
    missing = str(tmp_path / "none.toml")
    assert f"'{missing}' does not exist" in refusal(make_plan, suite_file(), protocol=missing)


def test_unknown_suite():
    assert "unknown suite 'sampel': did you mean sample?" in refusal(load_suite, "sampel")
    assert "choose from" in refusal(load_suite, "qqqqqq")


def test_a_missing_suite_file(tmp_path):
    path = str(tmp_path / "none.toml")
    assert refusal(load_suite, path) == f"suite file '{path}' does not exist"
    (tmp_path / "folder.toml").mkdir()
    assert "does not exist" in refusal(load_suite, str(tmp_path / "folder.toml"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", 'colour = "y"\n', ["colour", "Extra inputs", "'y'"]),
        ("version = 3\n", "", ["version", "required"]),
        ("version = 3", "version = 0", ["version", "greater than or equal to 1"]),
        ("version = 3", 'version = "three"', ["version", "'three'"]),
        ('name = "mine"', 'name = "../mine"', ["name", "'../mine'"]),
        ('name = "mine"', 'name = ""', ["name"]),
        ('datasets = ["sample"]', "datasets = []", ["datasets", "at least 1"]),
        ('datasets = ["sample"]', 'datasets = "sample"', ["datasets", "'sample'"]),
        ("scales = [2, 3.7]", "scales = []", ["scales", "at least 1"]),
        ("scales = [2, 3.7]", 'scales = ["two"]', ["scales.0", "'two'"]),
        ('"bicubic", "lanczos"', "1, 2", ["models.0", "string"]),
        ('description = "Two photographs"', "description = 5", ["description", "string"]),
        ("version = 3", "version 3", ["not valid TOML"]),
    ],
)
def test_a_wrong_suite_file_is_named_with_its_field(old, new, words, suite_file):
    path = suite_file(old, new)
    text = refusal(load_suite, path)
    assert path in text
    for word in words:
        assert word in text


@pytest.mark.parametrize("scale", ["0.5", "nan", "-2"])
def test_an_impossible_scale_in_a_file_is_refused(scale, suite_file):
    assert "is not possible" in refusal(load_suite, suite_file("[2, 3.7]", f"[2, {scale}]"))


def test_an_impossible_scale_names_the_file(suite_file):
    path = suite_file("[2, 3.7]", "[2, 0.5]")
    assert path in refusal(load_suite, path)


def test_shipped_suites_are_listed_from_their_folder(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(GOOD)
    monkeypatch.setattr(suite_module, "suites_folder", lambda: tmp_path)
    assert suite_names() == ["mine"]
    assert load_suite("mine").version == 3


# Plans


def test_wishes_go_before_the_suite(suite_file):
    plan = make_plan(
        suite_file(),
        scales=[11.3, 2],
        models=["nearest"],
        metrics=["ssim"],
        data=["folder:somewhere"],
        limit=2,
        device="cuda:1",
        precision="bfloat16",
        protocol="liif-div2k",
        seed=7,
    )
    assert plan.suite == "mine"
    assert plan.scales == (11.3, 2.0)
    assert plan.models == ("nearest",)
    assert plan.metrics == ("ssim",)
    assert plan.datasets == ("folder:somewhere",)
    assert (plan.limit, plan.device, plan.seed) == (2, "cuda:1", 7)
    assert plan.protocol == load_protocol("liif-div2k").with_precision("bfloat16")


def test_one_wish_leaves_the_rest(suite_file):
    plan = make_plan(suite_file(), models=["nearest"])
    assert plan.model_copy(update={"models": ("bicubic", "lanczos")}) == make_plan(suite_file())


def test_duplicates_are_removed_and_the_order_kept():
    plan = make_plan(
        scales=[4, 2, 4.0, 2],
        models=["nearest", "bicubic", "nearest"],
        metrics=["ssim", "psnr", "ssim"],
        data=["sample", "folder:a", "sample"],
    )
    assert plan.scales == (4.0, 2.0)
    assert plan.models == ("nearest", "bicubic")
    assert plan.metrics == ("ssim", "psnr")
    assert plan.datasets == ("sample", "folder:a")


def test_duplicates_in_a_file_are_removed(suite_file):
    assert make_plan(suite_file("[2, 3.7]", "[2, 3.7, 2.0]")).scales == (2.0, 3.7)


def test_arguments_make_models_different():
    models = ["liif-edsr", "liif-edsr:mine.pth", "liif-edsr:other.pth"]
    assert make_plan(models=models).models == tuple(models)


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"suite": "nosuch"}, "unknown suite 'nosuch'"),
        ({"protocol": "liif"}, "unknown protocol 'liif'"),
        ({"models": ["bicubik"]}, "unknown model 'bicubik': did you mean bicubic"),
        ({"models": ["bicubic", "zzzz"]}, "unknown model 'zzzz': choose from bicubic, bilinear"),
        ({"models": ["bicubic:4"]}, "model 'bicubic' takes no argument"),
        ({"models": ["liif-edsr:"]}, "model 'liif-edsr:' needs an argument"),
        ({"metrics": ["psnrr"]}, "unknown metric 'psnrr': did you mean psnr"),
        ({"metrics": ["psnr:y"]}, "metric 'psnr' takes no argument"),
        ({"data": ["sett5"]}, "unknown dataset 'sett5': did you mean"),
        ({"data": ["folder"]}, "write dataset as folder:PATH"),
        ({"data": ["paired:"]}, "write dataset as paired:PATH"),
        ({"data": ["sample:2"]}, "dataset 'sample' takes no argument"),
        ({"models": [""]}, "unknown model ''"),
        ({"models": []}, "the list of models is empty"),
        ({"metrics": []}, "the list of metrics is empty"),
        ({"data": []}, "the list of datasets is empty"),
        ({"scales": []}, "the list of scales is empty"),
        ({"scales": [2, 0.9]}, "scale 0.9 is not possible"),
        ({"scales": [float("inf")]}, "scale inf is not possible"),
        ({"limit": 0}, "limit must be at least 1, got 0"),
        ({"limit": -3}, "limit must be at least 1, got -3"),
    ],
    ids=str,
)
def test_wrong_wishes(wish, words):
    assert words in refusal(make_plan, **wish)


def test_an_unknown_precision_is_refused():
    assert "float64" in refusal(make_plan, precision="float64")


def test_a_wrong_name_in_a_suite_file(suite_file):
    assert "unknown model 'bicubik'" in refusal(make_plan, suite_file('"bicubic"', '"bicubik"'))
    path = suite_file("liif-benchmark", "liif")
    assert "unknown protocol 'liif'" in refusal(make_plan, path)


def test_plans_are_frozen_and_survive_json():
    plan = make_plan(limit=3)
    assert type(plan).model_validate_json(plan.model_dump_json()) == plan
    with pytest.raises(ValidationError):
        plan.limit = 4


# Shipped files


def test_the_suites_folder_is_the_installed_or_the_checked_out_one(tmp_path, monkeypatch):
    assert (shipped.suites_folder() / "sample.toml").is_file()
    package = tmp_path / "site/liif_bench"
    package.mkdir(parents=True)
    monkeypatch.setattr(shipped, "__file__", str(package / "shipped.py"))
    assert shipped.suites_folder() == tmp_path / "site/suites"
    (package / "suites").mkdir()
    assert shipped.suites_folder() == package / "suites"


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xff", None], ids=["toml", "utf-8", "missing"])
def test_an_unreadable_toml_is_named(content, tmp_path):
    path = tmp_path / "x.toml"
    if content is not None:
        path.write_bytes(content)
    assert str(path) in refusal(shipped.read_toml, path)


def test_toml_is_read_as_utf8(tmp_path):
    (tmp_path / "x.toml").write_bytes('[a]\nb = "×4 Größe"\n'.encode())
    assert shipped.read_toml(tmp_path / "x.toml") == {"a": {"b": "×4 Größe"}}


# Torch


def test_what_reads_and_plans_does_not_import_torch():
    code = """
import sys
import liif_bench.suite, liif_bench.protocol, liif_bench.records, liif_bench.registry
import liif_bench.reports.tables, liif_bench.cli
from liif_bench.suite import make_plan, suite_names
liif_bench.load_run, liif_bench.LiifBenchError, liif_bench.Run
for name in suite_names():
    make_plan(name)
heavy = {"torch", "torchvision", "timm", "lpips", "skimage", "PIL"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
