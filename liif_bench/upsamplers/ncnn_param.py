"""ncnn's ``.param`` files: the graph of a network as text, read and checked before ncnn sees it.

ncnn itself reports what is wrong on standard error, if at all; what passes here, it can load.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from liif_bench.errors import LiifBenchError

_MAGIC = "7767517"
_LARGEST = 1e9  # of a layer's numbers: an SR network has some million weights
_CONVOLUTIONS = ("Convolution", "ConvolutionDepthWise", "Deconvolution")
_PADS = (4, 14, 15, 16)  # left, top, right, bottom
_WIDEST_PAD = 4096


@dataclass(frozen=True)
class Layer:
    """One line of a graph.

    Attributes:
        kind: Such as "Convolution".
        name: Its own name.
        inputs: The blobs that it reads.
        outputs: The blobs that it makes.
        parameters: Values by number, as text.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    parameters: dict[int, str]

    @property
    def input_channels(self) -> int | None:
        """Channels that a convolution reads; None for layers of other kinds."""
        if self.kind != "Convolution":
            return None
        made, width, weights = (int(self.parameters[number]) for number in (0, 1, 6))
        height = int(self.parameters.get(11, width))
        return weights // (made * width * height)


@dataclass(frozen=True)
class Graph:
    """A network without its weights.

    Attributes:
        path: The file.
        layers: In the order in which they run.
    """

    path: Path
    layers: tuple[Layer, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The blobs that are given to the network."""
        return tuple(
            blob for layer in self.layers if layer.kind == "Input" for blob in layer.outputs
        )

    @property
    def outputs(self) -> tuple[str, ...]:
        """The blobs that no layer reads."""
        read = {blob for layer in self.layers for blob in layer.inputs}
        return tuple(blob for layer in self.layers for blob in layer.outputs if blob not in read)

    def choose(self, kind: str, name: str, default: str) -> str:
        """Return the blob of that name, or the default where the name is empty.

        Args:
            kind: "input" or "output", for the message.
            name: What the user wrote.
            default: What is taken without a name.

        Raises:
            LiifBenchError: The network has no such blob.
        """
        if not name:
            return default
        if not any(name in layer.outputs for layer in self.layers):
            raise LiifBenchError(
                f"'{self.path}' has no blob '{name}' for {kind}: its inputs are"
                f" {', '.join(self.inputs)}, its outputs {', '.join(self.outputs)}"
            )
        return name

    def channels(self, blob: str) -> int | None:
        """Return the channels that convolutions expect of a blob; None if no convolution reads it.

        Raises:
            LiifBenchError: A convolution lacks its numbers.
        """
        for layer in self.layers:
            if blob in layer.inputs:
                try:
                    channels = layer.input_channels
                except (KeyError, ValueError, ZeroDivisionError) as error:
                    raise _damaged(self.path, f"layer '{layer.name}' lacks numbers") from error
                if channels is not None:
                    return channels
        return None


def read_graph(path: Path) -> Graph:
    """Read a ``.param`` file.

    Args:
        path: The file, in ncnn's text format.

    Raises:
        LiifBenchError: The file cannot be read, is damaged, or has no input.
    """
    try:
        lines = iter(path.read_text(encoding="utf-8").splitlines())
    except OSError as error:
        raise LiifBenchError(f"cannot read '{path}': {error.strerror}: check the path") from error
    except UnicodeDecodeError as error:
        raise _damaged(path, "it is no text") from error
    if next(lines, "").strip() != _MAGIC:
        raise _damaged(path, f"its first line is not {_MAGIC}")
    counts = next(lines, "").split()
    try:
        layers = tuple(_read_layers(lines))
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    blobs = [blob for layer in layers for blob in layer.outputs]
    if counts != [str(len(layers)), str(len(blobs))]:
        raise _damaged(
            path,
            f"it states {' layers and '.join(counts) or 'no'} blobs,"
            f" and has {len(layers)} layers and {len(blobs)} blobs",
        )
    graph = Graph(path, layers)
    if not graph.inputs or not graph.outputs:
        raise _damaged(path, "it has no Input layer or no output")
    return graph


def _read_layers(lines: Iterator[str]) -> Iterator[Layer]:
    """Yield a layer per line.

    Raises:
        ValueError: A line is no layer, or reads a blob that no line before it makes.
    """
    known: set[str] = set()
    for line in lines:
        words = line.split()
        if not words:
            continue
        layer = _read_layer(words)
        strangers = [blob for blob in layer.inputs if blob not in known]
        if strangers:
            raise ValueError(f"layer '{layer.name}' reads '{strangers[0]}', which nothing makes")
        known.update(layer.outputs)
        yield layer


def _read_layer(words: list[str]) -> Layer:
    try:
        kind, name, reads, makes = words[0], words[1], int(words[2]), int(words[3])
        blobs, rest = words[4 : 4 + reads + makes], words[4 + reads + makes :]
        parameters = {int(key): value for key, _, value in (word.partition("=") for word in rest)}
    except (IndexError, ValueError) as error:
        raise ValueError(f"'{' '.join(words)[:60]}' is no layer") from error
    if len(blobs) != reads + makes or min(reads, makes) < 0:
        raise ValueError(f"layer '{name}' does not name its {reads + makes} blobs")
    if len(parameters) < len(rest):
        raise ValueError(f"layer '{name}' has a number twice")
    _check_numbers(kind, name, parameters)
    return Layer(kind, name, tuple(blobs[:reads]), tuple(blobs[reads:]), parameters)


def _check_numbers(kind: str, name: str, parameters: Mapping[int, str]) -> None:
    """Check what ncnn takes for granted and dies of: sizes that are none, or fit no other.

    Raises:
        ValueError: A number is too large, or a convolution's weights are no whole kernels.
    """
    for text in parameters.values():
        for part in text.split(","):
            try:
                too_large = not abs(float(part)) <= _LARGEST
            except ValueError:
                continue  # a word, or nothing
            if too_large:
                raise ValueError(f"layer '{name}' has the number {part[:40]}")
    if kind not in _CONVOLUTIONS or not {0, 1, 6} <= parameters.keys():
        return
    made, width, weights = (int(parameters[number]) for number in (0, 1, 6))
    height = int(parameters.get(11, width))
    pads = [int(parameters.get(number, 0)) for number in _PADS]
    if min(made, width, height) < 1 or weights < 1 or weights % (made * width * height):
        raise ValueError(f"layer '{name}' has {weights} weights for {made} of {width}x{height}")
    if parameters.get(19, "0") != "0":
        raise ValueError(f"layer '{name}' takes its weights from a blob")
    if max(pads) > _WIDEST_PAD:
        raise ValueError(f"layer '{name}' pads by {max(pads)}")


def _damaged(path: Path, why: str) -> LiifBenchError:
    return LiifBenchError(f"'{path}' is not an ncnn .param file, or damaged: {why}")
