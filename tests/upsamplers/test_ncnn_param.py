import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.ncnn_param import read_graph

TEXT = """7767517
5 6
Input            in    0 1 data
Split            split 1 2 data a b
Convolution      conv  1 1 a c 0=8 1=3 11=5 6=360
ReLU             relu  1 1 b d

Concat           end   2 1 c d out -23310=1,2.0e-01
"""


@pytest.fixture
def write(tmp_path):
    def put(content):
        path = tmp_path / "net.param"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return put


def test_a_graph_is_read(write):
    graph = read_graph(write(TEXT))
    assert (graph.inputs, graph.outputs) == (("data",), ("out",))
    assert [layer.kind for layer in graph.layers] == [
        "Input", "Split", "Convolution", "ReLU", "Concat",
    ]  # fmt: skip
    assert graph.layers[1].outputs == ("a", "b")
    assert graph.layers[4].inputs == ("c", "d")
    assert graph.layers[4].parameters == {-23310: "1,2.0e-01"}
    assert graph.channels("a") == 3  # 360 weights of 8 kernels, 3 wide and 5 high
    assert graph.channels("b") is None
    assert graph.choose("input", "", "data") == "data"
    assert graph.choose("output", "c", "out") == "c"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "its first line is not 7767517"),
        (b"\x87\x9f\x00\xff", "it is no text"),
        (TEXT.replace("7767517", "7767516"), "its first line is not 7767517"),
        (TEXT.replace("5 6", "5 7"), "states 5 layers and 7 blobs, and has 5 layers and 6 blobs"),
        (TEXT.replace("5 6", ""), "it states no blobs"),
        (TEXT[: TEXT.index("Concat")], "has 4 layers"),  # cut off
        (TEXT.replace("1 2 data", "1 x data"), "'Split split 1 x data a b' is no layer"),
        (TEXT.replace("1 2 data", "1 -2 data"), "is no layer|does not name"),
        (TEXT.replace("0=8", "zero=8"), "is no layer"),
        (TEXT.replace("2 1 c d out", "2 1 c"), "does not name its 3 blobs|is no layer"),
        (TEXT.replace("1 1 a c", "1 1 z c"), "layer 'conv' reads 'z', which nothing makes"),
        ("7767517\n0 0\n", "no Input layer"),
        (TEXT.replace("0=8", "0=8 0=9"), "layer 'conv' has a number twice"),
        (TEXT.replace("0=8", "0=-8"), "layer 'conv' has 360 weights for -8 of 3x5"),
        (TEXT.replace("6=360", "6=361"), "layer 'conv' has 361 weights for 8 of 3x5"),
        (TEXT.replace("1=3", "1=3000000000"), "layer 'conv' has the number 3000000000"),
        (TEXT.replace("1=3", "1=3 4=5000"), "layer 'conv' pads by 5000"),
        (TEXT.replace("1=3", "1=3 19=1"), "layer 'conv' takes its weights from a blob"),
    ],
)
def test_damage_is_one_line(write, content, message):
    with pytest.raises(LiifBenchError, match=message) as caught:
        read_graph(write(content))
    assert "net.param' is not an ncnn .param file, or damaged" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("lost", ["6=360", "1=3", "0=8"])
def test_a_convolution_without_its_numbers(write, lost):
    graph = read_graph(write(TEXT.replace(lost, "")))
    with pytest.raises(LiifBenchError, match="layer 'conv' lacks numbers"):
        graph.channels("a")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(LiifBenchError, match="cannot read"):
        read_graph(tmp_path / "gone.param")
