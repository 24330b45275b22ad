import importlib.metadata
import sys
import textwrap

import pytest

from liif_bench.datasets import DATASETS, load_dataset
from liif_bench.errors import LiifBenchError
from liif_bench.metrics import METRICS, load_metric
from liif_bench.registry import Entry, Registry
from liif_bench.suite import make_plan
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler

BUILT_IN = Registry(
    "thing",
    "liif_bench.tests.things",
    [
        Entry("plain", "json:dumps", "no argument"),
        Entry("may", "json:loads", "an argument if you like", "WORD"),
        Entry("must", "json.decoder:JSONDecoder", "an argument always", "PATH", True),
    ],
)


def refusal(function, *arguments):
    with pytest.raises(LiifBenchError) as error:
        function(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


# Names and arguments


@pytest.mark.parametrize(
    ("spec", "name", "argument"),
    [
        ("plain", "plain", ""),
        (" plain ", "plain", ""),
        ("may", "may", ""),
        ("may:x", "may", "x"),
        ("may:x:y", "may", "x:y"),
        ("must:C:\\photos", "must", "C:\\photos"),
        ("must:a b", "must", "a b"),
    ],
)
def test_parse(spec, name, argument):
    entry, got = BUILT_IN.parse(spec)
    assert (entry.name, got) == (name, argument)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("plian", "unknown thing 'plian': did you mean plain?"),
        ("zzzzz", "unknown thing 'zzzzz': choose from may, must, plain"),
        ("", "unknown thing '': choose from may, must, plain"),
        (":x", "unknown thing '': choose from may, must, plain"),
        ("Plain", "unknown thing 'Plain': did you mean plain?"),
        ("plain:x", "thing 'plain' takes no argument, got 'plain:x'"),
        pytest.param(
            "plain:",
            "thing 'plain' takes no argument, got 'plain:'",
        ),
        ("must", "thing 'must' needs an argument: write thing as must:PATH"),
        ("must:", "thing 'must:' needs an argument: write thing as must:PATH"),
        ("may:", "thing 'may:' needs an argument: write thing as may[:WORD]"),
    ],
)
def test_what_cannot_be_parsed(spec, message):
    assert refusal(BUILT_IN.parse, spec) == message


def test_usage():
    usages = [entry.usage for entry in BUILT_IN.entries().values()]
    assert usages == ["plain", "may[:WORD]", "must:PATH"]


def test_factory_imports_the_target():
    import json

    assert BUILT_IN.factory("plain") == (json.dumps, "")
    assert BUILT_IN.factory("must:x") == (json.decoder.JSONDecoder, "x")


def test_a_broken_built_in_is_our_own_error():
    """Only a plug-in's failure to import is the user's business; ours must show its traceback."""
    broken = Registry("thing", "liif_bench.tests.things", [Entry("x", "json:nothing", "")])
    with pytest.raises(AttributeError):
        broken.factory("x")


@pytest.mark.parametrize("registry", [DATASETS, METRICS, UPSAMPLERS], ids=lambda r: r.kind)
def test_every_built_in_part_can_be_imported(registry):
    entries = registry.entries()
    assert entries
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.summary
        assert "\n" not in entry.summary
        spec = f"{name}:x" if entry.argument_required else name
        assert callable(registry.factory(spec)[0])


@pytest.mark.parametrize("name", METRICS.entries())
def test_every_metric_goes_by_its_name(name):
    metric = load_metric(name)
    assert metric.name == name
    assert isinstance(metric.higher_is_better, bool)


# Plug-ins


@pytest.fixture
def install(tmp_path, monkeypatch):
    """A function that installs a package: a module and the entry points of its dist-info."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(source, **groups):
        (site / "bench_plugin.py").write_text(textwrap.dedent(source))
        info = site / "bench_plugin-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-plugin\nVersion: 1.0\n")
        lines = []
        for group, points in groups.items():
            lines += [f"[liif_bench.{group}]", *(f"{k} = {v}" for k, v in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        importlib.invalidate_caches()

    yield write
    for name in [name for name in sys.modules if name.startswith("bench_plugin")]:
        del sys.modules[name]


PLUGIN = """
    from pathlib import Path

    from liif_bench.datasets.base import Item
    from liif_bench.upsamplers import load_upsampler


    def one_file(root, argument="default.png"):
        return (Item(argument, Path(argument)),)


    class Brightness:
        higher_is_better = True

        def __init__(self, device="cpu", channel="all"):
            self.name, self.device, self.channel = "brightness", device, channel


    def half(options, argument="none"):
        upsampler = load_upsampler("nearest", options)
        upsampler.given = argument
        return upsampler
"""


def test_a_plugin_is_found_and_used(install):
    install(
        PLUGIN,
        datasets={"one": "bench_plugin:one_file"},
        metrics={"brightness": "bench_plugin:Brightness"},
        upsamplers={"half": "bench_plugin:half"},
    )
    assert DATASETS.entries()["one"].summary == "plug-in bench_plugin:one_file"
    assert "bench_plugin" not in sys.modules  # listing imports nothing

    (item,) = load_dataset("one:a.png").items
    assert item.name == "a.png"
    assert load_dataset("one").items[0].name == "default.png"
    metric = load_metric("brightness", "cpu")
    assert (metric.name, metric.device, metric.channel) == ("brightness", "cpu", "all")
    plan = make_plan(data=["one:b.png"], metrics=["brightness"], models=["half", "bicubic"])
    assert plan.models == ("half", "bicubic")


def test_the_argument_reaches_a_metric(install):
    install(PLUGIN, metrics={"brightness": "bench_plugin:Brightness"})
    assert load_metric("brightness:red").channel == "red"


def test_the_argument_reaches_an_upsampler(install):
    install(
        "def echo(options, argument='none'):\n    return options.precision, argument\n",
        upsamplers={"echo": "bench_plugin:echo"},
    )
    assert load_upsampler("echo") == ("float32", "none")
    assert load_upsampler("echo:a:b") == ("float32", "a:b")


def test_without_the_package_its_parts_are_unknown():
    assert "unknown metric 'brightness'" in refusal(load_metric, "brightness")


def test_a_plugin_cannot_replace_a_built_in_part(install):
    install("def bad(*_):\n    raise AssertionError\n", metrics={"psnr": "bench_plugin:bad"})
    assert METRICS.entries()["psnr"].target == "liif_bench.metrics.distortion:Psnr"
    assert type(load_metric("psnr")).__module__ == "liif_bench.metrics.distortion"


def test_groups_do_not_mix(install):
    install(PLUGIN, metrics={"brightness": "bench_plugin:Brightness"})
    assert "brightness" in METRICS.entries()
    assert "brightness" not in UPSAMPLERS.entries()
    assert "brightness" not in DATASETS.entries()


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("import no_such_module_anywhere", "bench_plugin:thing"),
        ("", "bench_plugin:thing"),
        ("", "bench_plugin_gone:thing"),
        ("", "bench_plugin"),
        ("raise ImportError('needs CUDA 99')", "bench_plugin:thing"),
    ],
)
def test_a_plugin_that_cannot_be_imported(source, target, install):
    install(source, metrics={"mine": target})
    assert METRICS.parse("mine")[0].name == "mine"  # listed all the same
    text = refusal(load_metric, "mine")
    assert "metric 'mine' of a plug-in" in text
    assert f"'{target}'" in text


@pytest.mark.parametrize("source", ["raise RuntimeError('no licence')", "def (", "1 / 0"])
def test_a_plugin_that_breaks_while_it_is_imported(source, install):
    install(source, metrics={"mine": "bench_plugin:thing"})
    assert "metric 'mine' of a plug-in" in refusal(load_metric, "mine")


def test_a_long_explanation_becomes_one_line(install):
    install("raise ImportError('first\\nsecond')", metrics={"mine": "bench_plugin:thing"})
    assert "first second" in refusal(load_metric, "mine")


def test_an_entry_point_may_name_a_nested_attribute(install):
    source = "class Maker:\n    @staticmethod\n    def make(device):\n        return device\n"
    install(source, metrics={"mine": "bench_plugin:Maker.make"})
    assert load_metric("mine", "cpu") == "cpu"


def test_two_plugins_of_one_name_give_one_part(install):
    install(
        PLUGIN,
        metrics={"brightness": "bench_plugin:Brightness"},
        datasets={"brightness": "bench_plugin:one_file"},
    )
    assert list(METRICS.entries()).count("brightness") == 1


# What a part needs, and whose code it runs

NEEDY = Registry(
    "model",
    "liif_bench.tests.things",
    [
        Entry("far", "far_away:thing", "", requires=("json", "far_away"), extra="far"),
        Entry("here", "json:dumps", "", requires=("json",), extra="far"),
        Entry("shell", "json:dumps", "", "ARGV", True, foreign="a program"),
    ],
)


def test_a_part_that_is_not_installed_says_how_to_get_it():
    assert NEEDY.factory("here")[0]
    assert refusal(NEEDY.factory, "far") == (
        "model 'far' needs far_away, which is not installed: pip install 'liif-bench[far]'"
    )


def test_somebody_elses_code_is_run_only_where_the_user_names_it():
    NEEDY.refuse_foreign(["here", "far"], "suite 'x'")
    assert refusal(NEEDY.refuse_foreign, ["here", "shell:rm"], "suite 'x'") == (
        "suite 'x' names model 'shell:rm', which runs a program: if you trust it,"
        " name it yourself with --model 'shell:rm'"
    )
