import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.options import choose, split_options, whole_number

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
    ],
)
def test_what_is_refused(call, message):
    with pytest.raises(LiifBenchError, match=message):
        call()


def test_values():
    assert choose("cell", "clip", ("exact", "clip")) == "clip"
    assert whole_number("scale", "4", 1, 8) == 4
