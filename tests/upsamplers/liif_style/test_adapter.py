import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from liif_bench.bench import Bench
from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import answer_case, evaluate, make_case
from liif_bench.images import write_rgb
from liif_bench.metrics import load_metric
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler
from liif_bench.upsamplers.base import FULL, Options, Window, pixel_window, regime
from liif_bench.upsamplers.liif_style import _cell

PROTOCOL = load_protocol("liif-benchmark")
FOREIGN = Path(__file__).parents[2] / "foreign"

# The official weights in a repository like the authors'


@pytest.fixture(scope="module")
def foreign(weights, tmp_path_factory):
    """A function that gives the spec of a model of the small repository, official weights in it."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(FOREIGN, folder, dirs_exist_ok=True)
    content = torch.load(weights("liif-edsr"), map_location="cpu", weights_only=True)

    def spec(model="liif", options=""):
        path = folder / f"{model}.pth"
        torch.save({"model": content["model"] | {"name": model}}, path)
        return f"liif-style:{folder}?checkpoint={path}{options}"

    return spec


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    y, x = np.mgrid[:64, :88]
    waves = [np.sin(x / 5 + shift) + np.cos(y / 7 - shift) for shift in range(3)]
    noise = np.random.default_rng(1).normal(0, 12, (64, 88, 3))
    pixels = (127.5 + 45 * np.stack(waves, axis=-1) + noise).clip(0, 255).astype(np.uint8)
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    write_rgb(pixels, path)
    return Item("photo", path)


@pytest.fixture(scope="module")
def ours(liif, photo):
    """The built-in LIIF's records and outputs of the photo, by scale."""
    measured = bench(liif)
    return {scale: (evaluate(measured, "data", photo, scale), output(liif, photo, scale))
            for scale in (2, 4, 3.7, 8)}  # fmt: skip


def bench(upsampler):
    return Bench(
        run="r",
        suite="s",
        suite_version=1,
        protocol=PROTOCOL,
        upsamplers=(upsampler,),
        metrics=(load_metric("psnr"), load_metric("ssim")),
        broken={},
        seed=0,
    )


def output(upsampler, photo, scale):
    return answer_case(upsampler, make_case(PROTOCOL, photo, scale)).output.sr


@pytest.mark.weights
@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("liif", ""),
        ("liif-forward", "&chunk=5000"),
        ("liif-grid", "&queries=grid&chunk=999"),
        ("liif-again", "&queries=grid"),
    ],
)
def test_the_official_weights_make_the_same_records(ours, foreign, photo, model, options):
    theirs = load_upsampler(foreign(model, options), Options())
    for scale, (expected, sr) in ours.items():
        rows = evaluate(bench(theirs), "data", photo, scale)
        assert [row.metric for row in rows] == ["psnr", "ssim"]
        for row, mine in zip(rows, expected, strict=True):
            assert row.upsampler == f"liif-style:{model}"
            assert (row.error, mine.error) == (None, None)
            assert row.value == pytest.approx(mine.value, abs=1e-5)
            assert row.regime == ("in" if scale <= 4 else "out")
        torch.testing.assert_close(output(theirs, photo, scale), sr, rtol=0, atol=1e-5)


@pytest.mark.weights
def test_windows_and_clipped_cells_are_those_of_liif(liif, foreign):
    theirs = load_upsampler(foreign(options="&cell=clip"), Options())
    clipped = load_upsampler("liif-edsr", Options(cell_rule="clip"))
    lr = torch.rand(3, 24, 17, generator=torch.Generator().manual_seed(0))
    image = theirs.encode(lr)
    for size, window in (
        ((61, 100), FULL),
        ((200, 130), Window(0.1, 0.25, 0.35, 0.7)),
        ((64, 64), Window(0.0, 0.9, 0.02, 1.0)),
    ):
        expected = clipped.encode(lr).render(size, window)
        torch.testing.assert_close(image.render(size, window), expected, rtol=0, atol=1e-5)
    by_protocol = load_upsampler(foreign(), Options(cell_rule="clip"))
    assert by_protocol.settings["cell"] == "clip"
    size = (150, 111)
    part = image.render((40, 30), pixel_window(size, 37, 52, 40, 30))
    torch.testing.assert_close(part, image.render(size)[:, 37:77, 52:82], rtol=0, atol=1e-5)


def test_cells_are_told_as_each_rule_says():
    rules = ("exact", "clip", "lte", "half")
    cells = {rule: _cell((2 / 80, 2 / 30), (10, 10), rule) for rule in rules}
    assert cells["exact"] == pytest.approx([0.025, 2 / 30])
    assert cells["half"] == pytest.approx([1 / 80, 1 / 30])
    assert cells["clip"] == pytest.approx([0.05, 2 / 30])
    stretch = (8 * 3) ** 0.5 / 4
    assert cells["lte"] == pytest.approx([0.025 * stretch, 2 / 30 * stretch])
    for scale in (1, 2, 4):
        assert _cell((0.2 / scale, 0.2 / scale), (10, 10), "lte") == [0.2 / scale] * 2
    whole = _cell((2 / 300, 2 / 300), (10, 10), "lte")  # at x30 the rule of LTE is that of clip
    assert whole == pytest.approx(_cell((2 / 300, 2 / 300), (10, 10), "clip"))


# What it says of itself, and what is refused before anything is run


def test_everything_that_changes_its_output_is_recorded(repository, tmp_path):
    spec = repository(options="&chunk=77&call=query&train=2,3-4&name=theirs&trust=yes&timeout=9")
    upsampler = load_upsampler(spec, Options())
    folder = tmp_path / "their code"
    code = upsampler.settings["code"]
    assert upsampler.settings == {
        "repository": str(folder),
        "code": code,
        "call": "query",
        "queries": "list",
        "cell": "exact",
        "norm": "0/1",
        "pad": "0",
        "chunk": "77",
        "train": "2,3-4",
    }
    assert upsampler.name == "theirs"
    assert upsampler.weights.id == str(folder / "m.pth")
    assert upsampler.training_scales == ((2, 2), (3, 4))
    assert [regime(upsampler, scale) for scale in (2, 2.5, 3.5)] == ["in", "out", "in"]
    (folder / "models.py").write_text("changed = True")
    assert load_upsampler(spec, Options()).settings["code"] != code


def test_the_user_is_told_whose_code_is_run_and_suites_are_refused(repository):
    spec, said = repository(), []
    load_upsampler(spec, Options(), said.append)
    assert "the code of another repository in a process of its own" in said[0]
    with pytest.raises(LiifBenchError, match="suite 'x' names model 'liif-style:"):
        UPSAMPLERS.refuse_foreign([spec], "suite 'x'")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.replace("?checkpoint", "/nowhere?checkpoint"), "has no package 'models'"),
        (lambda s: s.partition("?")[0], "names no checkpoint"),
        (lambda s: s.replace("m.pth", "n.pth"), r"n\.pth' does not exist"),
        (lambda s: s + "&call=both", "use auto or forward or query"),
        (lambda s: s + "&cell=round", "use exact or clip or lte or half"),
        (lambda s: s + "&chunk=0", "whole number from 1"),
        (lambda s: s + "&train=4-2", "write the training's scales as"),
        (lambda s: s + "&train=0.5", "write the training's scales as"),
        (lambda s: s.replace("norm=none", "norm=0.5"), "use MEAN/STD or none"),
        (lambda s: s.replace("norm=none", "norm=0.5/0"), "use MEAN/STD or none"),
        (lambda s: s + "&python=/no/such/python", "is no program"),
        (lambda s: s + "&patience=3", "unknown option 'patience'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_run(repository, change, message):
    with pytest.raises(LiifBenchError, match=message) as caught:
        load_upsampler(change(repository()), Options())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("options", [Options(precision="bfloat16"), Options(local_ensemble=False)])
def test_a_protocol_that_it_cannot_be_held_to_is_refused(repository, options):
    with pytest.raises(LiifBenchError, match="use a protocol with float32"):
        load_upsampler(repository(), options)
