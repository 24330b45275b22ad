import hashlib
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from liif_bench import protocol as protocol_module
from liif_bench.errors import LiifBenchError
from liif_bench.protocol import (
    Difference,
    Protocol,
    differences,
    field_meanings,
    load_protocol,
    protocol_names,
    to_toml,
)
from liif_bench.shipped import read_toml, suites_folder, tomllib

NAMES = protocol_names()
BASE = load_protocol("liif-div2k")

# Every field that changes a number, with another value. A new field must be entered here.
CHANGES = {
    "lr.given": False,
    "lr.generator": "matlab-bicubic-uint8",
    "lr.hr_multiple": 12,  # which needs lr.given = false: see `changed`
    "network.cell_rule": "clip",
    "network.local_ensemble": False,
    "network.precision": "bfloat16",
    "rounding": "uint8",
    "psnr.colour": "y",
    "psnr.shave_scale": 0.5,
    "psnr.shave_extra": 5,
    "ssim.colour": "y",
    "ssim.shave_scale": 0.5,
    "ssim.shave_extra": 5,
    "ssim.window": "full",
    "lpips.net": "vgg",
    "lpips.range": "0..1",
    "lpips.shave_scale": 0.5,
    "lpips.shave_extra": 5,
    "zoom.classifier": "efficientnet-lite1",
    "zoom.sizes": (256, 448),
}
WORDS = {"name": "another", "version": 2, "description": "other words", "source": "other words"}
# What HR is cropped to may only be said where LR is made; both fields then change.
ALONG = {"lr.hr_multiple": {"lr.given": False}}


def changed(field, value):
    return BASE.changed({field: value, **ALONG.get(field, {})})


# Hashes


def test_every_field_is_accounted_for():
    names = set()
    for name, info in Protocol.model_fields.items():
        inner = getattr(info.annotation, "model_fields", None)
        names |= {f"{name}.{key}" for key in inner} if inner else {name}
    assert names == set(CHANGES) | set(WORDS)
    assert set(BASE.fields) == set(CHANGES)


@pytest.mark.parametrize("field", CHANGES)
def test_what_changes_a_number_changes_the_hash(field):
    assert BASE.fields[field] != CHANGES[field]
    other = changed(field, CHANGES[field])
    assert other.fields[field] == CHANGES[field]
    assert other.hash != BASE.hash


def test_no_two_changes_share_a_hash():
    hashes = {changed(field, value).hash for field, value in CHANGES.items()}
    assert len(hashes | {BASE.hash}) == len(CHANGES) + 1


@pytest.mark.parametrize("field", WORDS)
def test_words_do_not_change_the_hash(field):
    other = BASE.changed({field: WORDS[field]})
    assert other != BASE
    assert other.hash == BASE.hash
    assert differences(BASE, other) == []


@pytest.mark.parametrize("name", NAMES)
def test_the_hash_is_that_of_the_file(name):
    flat = {}
    for key, value in read_toml(suites_folder() / "protocols" / f"{name}.toml").items():
        inner = value if isinstance(value, dict) else None
        flat |= {f"{key}.{part}": inner[part] for part in inner} if inner else {key: value}
    kept = {key: value for key, value in flat.items() if key not in WORDS}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    assert load_protocol(name).hash == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_an_integer_in_the_file_is_the_same_number():
    one, same = (BASE.changed({"psnr.shave_scale": value}) for value in (2, 2.0))
    assert one.hash == same.hash != BASE.hash


def test_precision():
    other = BASE.with_precision("float16")
    assert other.network.precision == "float16"
    assert other.hash == changed("network.precision", "float16").hash != BASE.hash
    assert BASE.network.precision == "float32"
    assert BASE.with_precision("float32") == BASE


def test_classifier():
    other = BASE.with_classifier("timm:resnet50")
    assert other.hash == BASE.changed({"zoom.classifier": "timm:resnet50"}).hash != BASE.hash
    assert [difference.field for difference in differences(BASE, other)] == ["zoom.classifier"]


@pytest.mark.parametrize("sizes", [(), (0,), (256, 256), (5000,), "256"])
def test_impossible_zoom_grids(sizes):
    with pytest.raises(ValidationError):
        BASE.changed({"zoom.sizes": sizes})


def test_frozen():
    with pytest.raises(ValidationError):
        BASE.rounding = "uint8"
    with pytest.raises(ValidationError):
        BASE.psnr.shave_extra = 3


# Changes and differences


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_is_the_only_difference(field):
    other = changed(field, CHANGES[field])
    told = {field: CHANGES[field], **ALONG.get(field, {})}
    expected = {(name, BASE.fields[name], value) for name, value in told.items()}
    assert {tuple(difference) for difference in differences(BASE, other)} == expected


def test_a_change_leaves_the_protocol_as_it_was():
    before = BASE.model_dump()
    other = BASE.changed({"psnr.colour": "y", "rounding": "uint8"})
    assert BASE.model_dump() == before
    assert (other.psnr.colour, other.ssim.colour, other.rounding) == ("y", "rgb", "uint8")
    assert other.changed({"psnr.colour": "rgb", "rounding": "none"}) == BASE


def test_no_change_is_the_same_protocol():
    assert BASE.changed({}) == BASE
    assert differences(BASE, BASE) == []


@pytest.mark.parametrize(
    "fields",
    [{"psnr.color": "y"}, {"shave": 3}, {"psnr.colour": "ycbcr"}, {"lr.hr_multiple": 12}],
    ids=str,
)
def test_a_change_is_checked(fields):
    with pytest.raises(ValidationError):
        BASE.changed(fields)


def test_differences_name_fields_and_both_values():
    first, second = load_protocol("liif-benchmark"), load_protocol("clit-ssim")
    assert sorted(differences(first, second)) == [
        Difference("psnr.colour", "y-liif", "rgb"),
        Difference("psnr.shave_extra", 0, 6),
        Difference("ssim.colour", "y-liif", "rgb"),
        Difference("ssim.shave_scale", 1.0, 0.0),
        Difference("ssim.window", "valid", "zero"),
    ]


@pytest.mark.parametrize("first", NAMES)
@pytest.mark.parametrize("second", NAMES)
def test_differences_are_all_of_them_and_the_same_from_both_sides(first, second):
    one, other = load_protocol(first), load_protocol(second)
    found = differences(one, other)
    turned = [Difference(field, b, a) for field, a, b in differences(other, one)]
    assert found == turned
    assert one.changed({"name": second, **{field: b for field, _, b in found}}).hash == other.hash
    assert (found == []) == (one.hash == other.hash)


# Presets


PRESETS = {
    "basicsr-y",
    "clit-ssim",
    "liif-benchmark",
    "liif-div2k",
    "linf-lpips",
    "lte",
    "lte-div2k",
    "matlab-y",
    "mmagic",
    "zoom-paper",
}


def test_the_shipped_presets():
    assert set(NAMES) == PRESETS
    assert sorted(NAMES) == NAMES
    for name in NAMES:
        preset = load_protocol(name)
        assert preset.name == name
        assert re.fullmatch(r"[0-9a-f]{12}", preset.hash)
        assert "\n" not in preset.description
        assert preset.source
    assert len({load_protocol(name).hash for name in NAMES}) == len(NAMES)


PIL = {"lr.given": True, "lr.generator": "pil-bicubic-uint8", "lr.hr_multiple": 1}
MATLAB = {"lr.given": True, "lr.generator": "matlab-bicubic-uint8", "lr.hr_multiple": 1}
EXACT = {
    "network.cell_rule": "exact",
    "network.local_ensemble": True,
    "network.precision": "float32",
}
CLIPPED = {**EXACT, "network.cell_rule": "clip"}
UNSHAVED_ALEX = {
    "lpips.net": "alex",
    "lpips.range": "-1..1",
    "lpips.shave_scale": 0,
    "lpips.shave_extra": 0,
}


def region(metric, colour, factor, extra):
    names = ("colour", "shave_scale", "shave_extra")
    values = zip(names, (colour, factor, extra), strict=True)
    return {f"{metric}.{name}": value for name, value in values}


def scores(colour, factor, extra):
    """PSNR of a region, and SSIM of the same by the windows inside it."""
    both = region("psnr", colour, factor, extra) | region("ssim", colour, factor, extra)
    return both | {"ssim.window": "valid"}


LIIF_DIV2K_PSNR = region("psnr", "rgb", 1, 6)
UNSHAVED_RGB_SSIM = region("ssim", "rgb", 0, 0)

# Every choice of every preset, written down a second time from its source.
CHOICES = {
    "basicsr-y": MATLAB | EXACT | {"rounding": "uint8"} | scores("y", 1, 0),
    "clit-ssim": PIL
    | EXACT
    | {"rounding": "none", "ssim.window": "zero"}
    | LIIF_DIV2K_PSNR
    | UNSHAVED_RGB_SSIM,
    "liif-benchmark": PIL | EXACT | {"rounding": "none"} | scores("y-liif", 1, 0),
    "liif-div2k": PIL | EXACT | {"rounding": "none"} | scores("rgb", 1, 6),
    "linf-lpips": PIL
    | EXACT
    | {"rounding": "none", "ssim.window": "valid"}
    | LIIF_DIV2K_PSNR
    | UNSHAVED_RGB_SSIM,
    "lte": PIL | CLIPPED | {"rounding": "none"} | scores("y-liif", 1, 0),
    "lte-div2k": PIL | CLIPPED | {"rounding": "none"} | scores("rgb", 1, 6),
    "matlab-y": MATLAB | EXACT | {"rounding": "uint8"} | scores("y-uint8", 1, 0),
    "mmagic": PIL
    | {"lr.given": False, "lr.hr_multiple": 12}
    | EXACT
    | {"rounding": "uint8", "ssim.window": "valid"}
    | region("psnr", "rgb", 1, 0)
    | region("ssim", "blue", 1, 0),
    "zoom-paper": PIL | EXACT | {"rounding": "none"} | scores("rgb", 1, 6),
}

QUICK = (128, 256, 384, 512)
GRIDS = {
    "zoom-paper": (
        *(10, 16, 32, 48, 64, 96, 128, 192, 224, 240, 256, 288, 320, 384, 448, 512, 576, 640),
        *(664, 672, 680, 690, 700, 720, 768, 832, 896),
        *(122, 235, 348, 460, 573, 686, 798, 911, 1024),
    )
}


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_makes_the_choices_of_its_source(name):
    zoom = {"zoom.classifier": "efficientnet-lite0", "zoom.sizes": GRIDS.get(name, QUICK)}
    assert load_protocol(name).fields == CHOICES[name] | UNSHAVED_ALEX | zoom


def test_unknown_preset():
    with pytest.raises(LiifBenchError, match="unknown protocol 'liif-div2': did you mean"):
        load_protocol("liif-div2")


# A user's own file


@pytest.fixture
def preset(tmp_path):
    """A function that writes a preset from the lines of a good one and loads it by its path."""
    path = tmp_path / "mine.toml"
    good = (suites_folder() / "protocols/liif-div2k.toml").read_text()

    def load(pattern="", replacement="", extra=""):
        text = re.sub(rf"(?m)^{pattern}.*\n", replacement, good, count=1) if pattern else good
        path.write_text(extra + text)
        return load_protocol(str(path))

    return load


def test_a_path_is_a_preset_named_after_its_file(preset):
    mine = preset("shave_extra", "shave_extra = 0\n")
    assert mine.name == "mine"
    assert mine.psnr.shave(2.0) == 2
    assert mine.ssim.shave(2.0) == 8
    assert differences(BASE, mine) == [Difference("psnr.shave_extra", 6, 0)]


def test_a_file_that_changes_is_read_again(preset):
    assert preset("rounding", 'rounding = "uint8"\n').rounding == "uint8"
    assert preset().rounding == "none"


def test_the_name_of_a_shipped_preset_is_no_path(preset, tmp_path, monkeypatch):
    preset()
    monkeypatch.chdir(tmp_path)
    assert load_protocol("mine.toml").name == "mine"
    with pytest.raises(LiifBenchError, match="unknown protocol 'mine'"):
        load_protocol("mine")


def test_a_name_is_one_line(preset):
    with pytest.raises(LiifBenchError, match="name: String should match"):
        preset(extra='name = "a\\nb"\n')


def test_a_path_to_nothing_is_named(tmp_path):
    for path in (tmp_path / "none.toml", tmp_path / "folder.toml"):
        (tmp_path / "folder.toml").mkdir(exist_ok=True)
        with pytest.raises(LiifBenchError) as error:
            load_protocol(str(path))
        assert str(error.value) == f"protocol file '{path}' does not exist"


def test_shipped_presets_are_listed_from_their_folder(preset, tmp_path, monkeypatch):
    preset()
    (tmp_path / "protocols").mkdir()
    (tmp_path / "mine.toml").rename(tmp_path / "protocols/sole-preset-here.toml")
    monkeypatch.setattr(protocol_module, "suites_folder", lambda: tmp_path)
    assert protocol_names() == ["sole-preset-here"]
    assert load_protocol("sole-preset-here").hash == BASE.hash


@pytest.mark.parametrize(
    ("pattern", "replacement", "extra", "words"),
    [
        ("", "", "shaver = 3\n", ["shaver: ", "Extra inputs", "3"]),
        ("colour", 'colour = "rgb"\ncolor = "rgb"\n', "", ["psnr.color: ", "Extra", "'rgb'"]),
        ("colour", "", "", ["psnr.colour: ", "required"]),
        ("colour", 'colour = "ycbcr"\n', "", ["psnr.colour: ", "'y-full'", "'ycbcr'"]),
        ("version", "version = 0\n", "", ["version: ", "greater than or equal to 1", "0"]),
        ("shave_extra", "shave_extra = -1\n", "", ["psnr.shave_extra: ", "-1"]),
        ("shave_extra", "shave_extra = 1.5\n", "", ["psnr.shave_extra: ", "1.5"]),
        ("shave_scale", "shave_scale = nan\n", "", ["psnr.shave_scale: ", "nan"]),
        ("shave_scale", "shave_scale = inf\n", "", ["psnr.shave_scale: ", "inf"]),
        ("shave_scale", "shave_scale = -0.5\n", "", ["psnr.shave_scale: ", "-0.5"]),
        ("window", 'window = "same"\n', "", ["ssim.window: ", "'zero'", "'same'"]),
        ("net", 'net = "squeeze"\n', "", ["lpips.net: ", "'squeeze'"]),
        ("range", 'range = "0..255"\n', "", ["lpips.range: ", "'0..255'"]),
        ("generator", 'generator = "matlab"\n', "", ["lr.generator: ", "'matlab'"]),
        ("given", 'given = "perhaps"\n', "", ["lr.given: ", "'perhaps'"]),
        ("hr_multiple", "hr_multiple = 0\n", "", ["lr.hr_multiple: ", "0"]),
        ("hr_multiple", "hr_multiple = 12\n", "", ["lr: ", "hr_multiple must be 1"]),
        ("cell_rule", 'cell_rule = "none"\n', "", ["network.cell_rule: ", "'none'"]),
        ("precision", 'precision = "float64"\n', "", ["network.precision: ", "'float64'"]),
        ("rounding", 'rounding = "int8"\n', "", ["rounding: ", "'int8'"]),
        (r"\[ssim\]", "[sim]\n", "", ["ssim: ", "required", "sim: "]),
        ("colour", "colour = rgb\n", "", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_field(pattern, replacement, extra, words, preset, tmp_path):
    with pytest.raises(LiifBenchError) as error:
        preset(pattern, replacement, extra)
    text = str(error.value)
    assert "\n" not in text
    assert str(tmp_path / "mine.toml") in text
    for word in words:
        assert word in text


def test_every_wrong_field_is_named_at_once(preset):
    with pytest.raises(LiifBenchError) as error:
        preset("colour", 'colour = "no"\nshave = 1\n', "shaver = 3\n")
    text = str(error.value)
    assert "\n" not in text
    fields = [part.partition(": ")[0] for part in text.partition("mine.toml': ")[2].split("; ")]
    assert sorted(fields) == ["psnr.colour", "psnr.shave", "shaver"]


def test_a_file_that_is_not_text(preset, tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LiifBenchError, match=r"cannot read '.*mine\.toml'"):
        load_protocol(str(tmp_path / "mine.toml"))


# Written as a file


def written(protocol, folder):
    path = folder / f"{protocol.name}.toml"
    path.write_text(to_toml(protocol), encoding="utf-8")
    return load_protocol(str(path))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read_back(name, tmp_path):
    assert written(load_protocol(name), tmp_path) == load_protocol(name)


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_read_back(field, tmp_path):
    other = changed(field, CHANGES[field])
    assert written(other, tmp_path) == other


text = st.text(st.characters(exclude_categories=["Cs"]))


@given(text, text, st.integers(1, 10**6), st.floats(0, 1e9), st.integers(0, 10**6))
def test_words_and_numbers_of_any_kind_are_read_back(description, source, version, factor, extra):
    fields = {"description": description, "source": source, "version": version}
    other = BASE.changed({**fields, "psnr.shave_scale": factor, "ssim.shave_extra": extra})
    content = tomllib.loads(to_toml(other))
    assert Protocol.model_validate({"name": other.name, **content}) == other


def test_each_line_of_the_written_file_says_what_it_means():
    meanings = field_meanings()
    assert set(meanings) == set(BASE.fields)
    assert all(meanings.values())
    lines = to_toml(BASE).splitlines()
    assert lines[0] == f"# liif-div2k: hash {BASE.hash}"
    table = ""
    seen = []
    for line in lines[1:]:
        if line.startswith("["):
            table = line.strip("[]") + "."
        elif " # " in line:
            name = table + line.partition(" = ")[0]
            assert line.endswith(f" # {meanings[name]}")
            seen.append(name)
    assert sorted(seen) == sorted(meanings)


# Shave


@pytest.mark.parametrize(
    ("shave_scale", "shave_extra", "scale", "expected"),
    [
        (1.0, 0, 1.0, 1),
        (1.0, 0, 4.0, 4),
        (1.0, 0, 2.5, 3),
        (1.0, 0, 3.7, 4),
        (1.0, 0, 11.3, 12),
        (1.0, 6, 11.3, 18),
        (1.0, 6, 30.0, 36),
        (0.0, 0, 11.3, 0),
        (0.0, 4, 11.3, 4),
        (0.5, 0, 4.0, 2),
        (0.5, 0, 3.0, 2),
        (2.2, 0, 25.0, 55),  # 55.00000000000001 as a product of doubles
    ],
)
def test_shave(shave_scale, shave_extra, scale, expected):
    fields = {"shave_scale": shave_scale, "shave_extra": shave_extra}
    for metric in ("psnr", "ssim", "lpips"):
        other = BASE.changed({f"{metric}.{name}": value for name, value in fields.items()})
        got = getattr(other, metric).shave(scale)
        assert got == expected
        assert isinstance(got, int)
