import importlib.metadata
import sys
import textwrap

import pytest

from liif_bench.datasets import DATASETS, load_dataset
from liif_bench.downstream import ENCODERS
from liif_bench.errors import LiifBenchError
from liif_bench.metrics import METRICS, load_metric
from liif_bench.protocol import load_protocol, protocol_names
from liif_bench.ratings import RATINGS
from liif_bench.registry import Entry, Registry
from liif_bench.suite import make_plan
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler
from liif_bench.weights.registry import lookup

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


@pytest.mark.parametrize(
    "registry", [DATASETS, ENCODERS, METRICS, RATINGS, UPSAMPLERS], ids=lambda r: r.kind
)
def test_every_built_in_part_can_be_imported(registry):
    entries = registry.entries()
    assert entries
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.summary
        assert "\n" not in entry.summary
        spec = f"{name}:x" if entry.argument_required else name
        assert callable(registry.factory(spec)[0])


def spec_of(name):
    """How a metric can be named; one of features needs an encoder."""
    return f"{name}:vgg16@relu3_3" if METRICS.entries()[name].argument_required else name


@pytest.mark.parametrize("name", METRICS.entries())
def test_every_metric_goes_by_its_name(name):
    metric = load_metric(spec_of(name))
    assert metric.name == spec_of(name)
    assert isinstance(metric.higher_is_better, bool)


def test_every_built_in_metric_has_a_title_of_its_own():
    titles = [entry.title for entry in METRICS.builtin.values()]
    assert all(titles)
    assert len(set(titles)) == len(titles)
    assert all(0 < entry.decimals < 6 for entry in METRICS.builtin.values())


@pytest.mark.parametrize("name", METRICS.entries())
def test_every_metric_is_registered_with_the_weights_that_presets_need(name):
    protocols = [load_protocol(each) for each in protocol_names()]
    metric = load_metric(spec_of(name))
    needed = {each for protocol in protocols for each in metric.needs(protocol)}
    of_encoder = {"lpips-vgg"} if METRICS.entries()[name].argument_required else set()
    assert needed == set(METRICS.entries()[name].weights) | of_encoder


@pytest.mark.parametrize("registry", [ENCODERS, METRICS, UPSAMPLERS], ids=lambda r: r.kind)
def test_weights_of_parts_are_registered(registry):
    ids = [each for entry in registry.entries().values() for each in entry.weights]
    assert ids
    assert all(lookup(each).id == each for each in ids)


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

        def variant(self, protocol):
            return self.channel

        def needs(self, protocol):
            return ()

        def score(self, case, output):
            return float(output.sr.mean())


    class Half:
        name, training_scales, weights = "half", None, None

        def __init__(self, options, argument="none"):
            self.settings = {"precision": options.precision, "argument": argument}

        def encode(self, lr):
            return load_upsampler("nearest").encode(lr)
"""


def test_a_plugin_is_found_and_used(install):
    install(
        PLUGIN,
        datasets={"one": "bench_plugin:one_file"},
        metrics={"brightness": "bench_plugin:Brightness"},
        upsamplers={"half": "bench_plugin:Half"},
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
    install(PLUGIN, upsamplers={"half": "bench_plugin:Half"})
    assert load_upsampler("half").settings == {"precision": "float32", "argument": "none"}
    assert load_upsampler("half:a:b").settings["argument"] == "a:b"


def test_a_part_says_which_package_brought_it(install):
    install(PLUGIN, metrics={"brightness": "bench_plugin:Brightness"})
    assert METRICS.entries()["brightness"].package == "bench-plugin 1.0"
    assert METRICS.entries()["psnr"].package == ""


@pytest.mark.parametrize(
    ("source", "group", "load", "message"),
    [
        ("def mine(options): 1 / 0", "upsamplers", load_upsampler, "cannot be made: ZeroDivision"),
        ("def mine(options): pass", "upsamplers", load_upsampler, "lacks name, training_scales,"),
        (
            "def mine(device): pass",
            "metrics",
            load_metric,
            "of bench-plugin 1.0 lacks name, higher",
        ),
        ("def mine(root): pass", "datasets", load_dataset, "'mine' is no tuple of items"),
        ("def mine(root): return ('a.png',)", "datasets", load_dataset, "is no tuple of items"),
        ("def mine(root): return ()", "datasets", load_dataset, "holds no image"),
        (
            "from liif_bench.datasets.base import Item\n"
            "def mine(root): return (Item('a', root), Item('b', root), Item('a', root / 'a'))",
            "datasets",
            load_dataset,
            "holds 2 images called 'a'",
        ),
    ],
)
def test_a_plugin_that_does_not_do_what_it_must(source, group, load, message, install):
    install(source, **{group: {"mine": "bench_plugin:mine"}})
    assert message in refusal(load, "mine")


def test_an_argument_that_a_plugin_does_not_take(install):
    install("def mine(options): pass", upsamplers={"mine": "bench_plugin:mine"})
    assert "model 'mine:x' of bench-plugin 1.0 cannot be made" in refusal(load_upsampler, "mine:x")


def test_a_built_in_part_that_breaks_shows_its_traceback():
    broken = Registry("thing", "liif_bench.tests.things", [Entry("x", "json:loads", "")])
    with pytest.raises(TypeError):
        broken.make("x")


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
    assert "metric 'mine' of bench-plugin 1.0" in text
    assert f"'{target}'" in text


@pytest.mark.parametrize("source", ["raise RuntimeError('no licence')", "def (", "1 / 0"])
def test_a_plugin_that_breaks_while_it_is_imported(source, install):
    install(source, metrics={"mine": "bench_plugin:thing"})
    assert "metric 'mine' of bench-plugin 1.0" in refusal(load_metric, "mine")


def test_a_long_explanation_becomes_one_line(install):
    install("raise ImportError('first\\nsecond')", metrics={"mine": "bench_plugin:thing"})
    assert "first second" in refusal(load_metric, "mine")


def test_an_entry_point_may_name_a_nested_attribute(install):
    install(
        PLUGIN + "\n    class Maker:\n        Metric = Brightness\n",
        metrics={"mine": "bench_plugin:Maker.Metric"},
    )
    assert load_metric("mine", "cpu").name == "brightness"


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
        Entry("broken", "far_away:thing", "", requires=("far_away",)),
        Entry("shell", "json:dumps", "", "ARGV", True, foreign="a program"),
    ],
)


def test_a_part_that_is_not_installed_says_how_to_get_it():
    assert NEEDY.factory("here")[0]
    assert refusal(NEEDY.factory, "far") == (
        "model 'far' needs far_away, which is not installed: pip install 'liif-bench[far]'"
    )
    assert refusal(NEEDY.factory, "broken") == (
        "model 'broken' needs far_away, which is not installed: pip install far_away"
    )


def test_somebody_elses_code_is_run_only_where_the_user_names_it():
    NEEDY.refuse_foreign(["here", "far"], "suite 'x'")
    assert refusal(NEEDY.refuse_foreign, ["here", "shell:rm"], "suite 'x'") == (
        "suite 'x' names model 'shell:rm', which runs a program: if you trust it,"
        " name it yourself with --model 'shell:rm'"
    )


def test_a_folder_of_a_module_s_name_is_no_module(tmp_path, monkeypatch):
    (tmp_path / "far_away").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "needs far_away, which is not installed" in refusal(NEEDY.factory, "far")
