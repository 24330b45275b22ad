import hashlib
import json
import re

import pytest
from pydantic import ValidationError

from liif_bench import protocol as protocol_module
from liif_bench.errors import LiifBenchError
from liif_bench.protocol import Protocol, load_protocol, protocol_names
from liif_bench.shipped import read_toml, suites_folder

NAMES = protocol_names()
BASE = load_protocol("liif-div2k")

# Every field that changes a number, with another value. A new field must be entered here.
CHANGES = {
    "name": "another",
    "version": 2,
    "given_lr": False,
    "colour": "y",
    "shave_scale": 0.5,
    "shave_extra": 5,
    "rounding": "uint8",
    "ssim_window": "full",
    "lpips_net": "vgg",
    "cell_rule": "clip",
    "local_ensemble": False,
    "precision": "bfloat16",
}
SILENT = {"description", "source"}
ONE_CHOICE = {"degradation"}  # nothing to change it to yet


def changed(**fields):
    return Protocol.model_validate(BASE.model_dump() | fields)


# Hashes


def test_every_field_is_accounted_for():
    assert set(Protocol.model_fields) == set(CHANGES) | SILENT | ONE_CHOICE


@pytest.mark.parametrize("field", CHANGES)
def test_what_changes_a_number_changes_the_hash(field):
    assert getattr(BASE, field) != CHANGES[field]
    assert changed(**{field: CHANGES[field]}).hash != BASE.hash


def test_no_two_changes_share_a_hash():
    hashes = {changed(**{field: value}).hash for field, value in CHANGES.items()}
    assert len(hashes | {BASE.hash}) == len(CHANGES) + 1


@pytest.mark.parametrize("field", sorted(SILENT))
def test_words_do_not_change_the_hash(field):
    assert changed(**{field: "other words"}).hash == BASE.hash


@pytest.mark.parametrize("name", NAMES)
def test_the_hash_is_that_of_the_file(name):
    fields = {"name": name, **read_toml(suites_folder() / "protocols" / f"{name}.toml")}
    kept = {key: value for key, value in fields.items() if key not in SILENT}
    text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
    assert load_protocol(name).hash == hashlib.sha256(text.encode()).hexdigest()[:12]


def test_an_integer_in_the_file_is_the_same_number():
    assert changed(shave_scale=1).hash == changed(shave_scale=1.0).hash


def test_precision():
    other = BASE.with_precision("float16")
    assert other.precision == "float16"
    assert other.hash == changed(precision="float16").hash != BASE.hash
    assert BASE.precision == "float32"
    assert BASE.with_precision("float32") == BASE


def test_frozen():
    with pytest.raises(ValidationError):
        BASE.shave_extra = 3


# Presets


def test_the_shipped_presets():
    assert {"liif-benchmark", "liif-div2k"} <= set(NAMES)
    assert sorted(NAMES) == NAMES
    for name in NAMES:
        preset = load_protocol(name)
        assert preset.name == name
        assert re.fullmatch(r"[0-9a-f]{12}", preset.hash)
        assert "\n" not in preset.description
        assert preset.source
    assert len({load_protocol(name).hash for name in NAMES}) == len(NAMES)


def test_the_papers_two_protocols():
    benchmark = load_protocol("liif-benchmark")
    assert (benchmark.colour, benchmark.shave(4.0), benchmark.rounding) == ("y", 4, "none")
    assert (BASE.colour, BASE.shave(4.0), BASE.rounding) == ("rgb", 10, "none")


def test_unknown_preset():
    with pytest.raises(LiifBenchError, match="unknown protocol 'liif-div2': did you mean"):
        load_protocol("liif-div2")


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """A function that writes a preset from the lines of a good one and loads it."""
    (tmp_path / "protocols").mkdir()
    path = tmp_path / "protocols/mine.toml"
    good = (suites_folder() / "protocols/liif-div2k.toml").read_text()
    monkeypatch.setattr(protocol_module, "suites_folder", lambda: tmp_path)
    load_protocol.cache_clear()

    def load(pattern="", replacement="", extra=""):
        text = re.sub(rf"(?m)^{pattern}.*\n", replacement, good) if pattern else good
        path.write_text(text + extra)
        return load_protocol("mine")

    yield load
    load_protocol.cache_clear()


def test_a_new_file_is_a_new_preset(preset):
    mine = preset("shave_extra", "shave_extra = 0\n")
    assert protocol_names() == ["mine"]
    assert mine.name == "mine"
    assert mine.shave(2.0) == 2
    assert mine.hash != BASE.hash


@pytest.mark.parametrize(
    ("pattern", "replacement", "extra", "words"),
    [
        ("", "", "shaver = 3\n", ["shaver", "Extra inputs", "3"]),
        ("colour", "", "", ["colour", "required"]),
        ("colour", 'colour = "ycbcr"\n', "", ["colour", "'rgb' or 'y'", "'ycbcr'"]),
        ("version", "version = 0\n", "", ["version", "greater than or equal to 1", "0"]),
        ("shave_extra", "shave_extra = -1\n", "", ["shave_extra", "-1"]),
        ("shave_extra", "shave_extra = 1.5\n", "", ["shave_extra", "1.5"]),
        ("shave_scale", "shave_scale = nan\n", "", ["shave_scale", "nan"]),
        ("degradation", 'degradation = "matlab"\n', "", ["degradation", "'matlab'"]),
        ("given_lr", 'given_lr = "perhaps"\n', "", ["given_lr", "'perhaps'"]),
        ("precision", 'precision = "float64"\n', "", ["precision", "'float64'"]),
        ("colour", "colour = rgb\n", "", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_field(pattern, replacement, extra, words, preset, tmp_path):
    with pytest.raises(LiifBenchError) as error:
        preset(pattern, replacement, extra)
    text = str(error.value)
    assert "\n" not in text
    assert str(tmp_path / "protocols/mine.toml") in text
    for word in words:
        assert word in text


def test_every_wrong_field_is_named_at_once(preset):
    with pytest.raises(LiifBenchError, match=r"colour: .*; .*shaver: "):
        preset("colour", 'colour = "no"\n', "shaver = 3\n")


def test_a_file_that_is_not_text(preset, tmp_path):
    preset()
    load_protocol.cache_clear()
    (tmp_path / "protocols/mine.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(LiifBenchError, match=r"cannot read '.*mine\.toml'"):
        load_protocol("mine")


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
    preset = changed(shave_scale=shave_scale, shave_extra=shave_extra)
    got = preset.shave(scale)
    assert got == expected
    assert isinstance(got, int)
