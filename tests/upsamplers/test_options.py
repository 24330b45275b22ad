import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.options import (
    choose,
    fill,
    split_options,
    table_name,
    training_scales,
    whole_number,
)

KNOWN = ("scale", "tile-size")


@pytest.mark.parametrize(
    ("argument", "head", "options"),
    [
        ("a/b.param", "a/b.param", {}),
        ("a?scale=4", "a", {"scale": "4"}),
        ("a?b?scale=4&tile-size=", "a?b", {"scale": "4", "tile-size": ""}),
        ("what?", "what?", {}),
        ("is it?yes", "is it?yes", {}),
        ("?scale=a=b", "", {"scale": "a=b"}),
        ("", "", {}),
    ],
)
def test_split(argument, head, options):
    assert split_options(argument, KNOWN) == (head, options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: split_options("a?scala=4", KNOWN), "unknown option 'scala': did you mean scale?"),
        (lambda: split_options("a?scale=4&scale=4", KNOWN), "'scale' is given twice"),
        (lambda: choose("cell", "x", ("exact", "clip")), "cell=x is not possible: use exact or"),
        (lambda: whole_number("scale", "0", 1, 8), "use a whole number from 1 to 8"),
        (lambda: whole_number("scale", "2.5", 1, 8), "scale=2.5 is not possible"),
        (lambda: training_scales("four"), "train=four is not possible: write the training's"),
        (lambda: training_scales("0.5"), "train=0.5 is not possible"),
        (lambda: training_scales("1-inf"), "train=1-inf is not possible"),
        (lambda: training_scales("nan"), "train=nan is not possible"),
        (lambda: training_scales(""), "train= is not possible"),
        (lambda: table_name("a\nb"), "cannot be a model's name"),
        (lambda: table_name(" a"), "cannot be a model's name"),
        (lambda: table_name("x" * 41), "cannot be a model's name"),
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(LiifBenchError, match=message):
        call()


def test_values():
    assert choose("cell", "clip", ("exact", "clip")) == "clip"
    assert whole_number("scale", "4", 1, 8) == 4
    assert training_scales("4") == ((4, 4),)
    assert training_scales("2, 3,3.5-30") == ((2, 2), (3, 3), (3.5, 30))
    assert table_name("SwinIR (L) x4") == "SwinIR (L) x4"


def test_places_are_filled_once():
    values = {"item": "{scale}", "scale": "4"}
    assert fill("{item}_x{scale}{other}{}", values) == "{scale}_x4{other}{}"
