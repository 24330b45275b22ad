"""One case: its LR, every upsampler's SR of it, every metric of each. Errors become records."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from liif_bench.bench import Bench
from liif_bench.datasets.base import Item
from liif_bench.degrade import fit_pair, make_pair
from liif_bench.errors import LiifBenchError, NotApplicableError, TooLittleMemoryError, one_line
from liif_bench.images import to_tensor
from liif_bench.metrics.base import Case, Detailed, Metric, Output, as_scored, rows_of, sees_whole
from liif_bench.profile import MAKING_LR, READING, Stopwatch, encode_stage, render_stage
from liif_bench.protocol import Protocol
from liif_bench.records import GIVEN_LR, NOT_APPLICABLE, CaseRows, Record, Table, value_or_error
from liif_bench.upsamplers.base import (
    ContinuousImage,
    Oracle,
    Request,
    Upsampler,
    encode_case,
    regime,
    render_checked,
)

_TOO_LITTLE = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")
"""What messages of PyTorch's allocators hold where there is too little memory."""


@dataclass(frozen=True)
class Prepared:
    """A case that can be measured, or the reason why there is none."""

    case: Case | None
    error: str | None


@dataclass(frozen=True)
class Answer:
    """An upsampler's answer to a case: an output or the reason why there is none.

    Attributes:
        output: SR, or what renders it.
        seconds: Wall time that it took.
        error: Why there is no output.
        too_large: Whether the reason is that memory ran out.
    """

    output: Output | None
    seconds: float | None
    error: str | None
    too_large: bool = False


def evaluate(
    bench: Bench,
    dataset: str,
    item: Item,
    scale: float,
    on_step: Callable[[str], None] = lambda _: None,
    prepared: Prepared | None = None,
) -> list[Record]:
    """Measure one case and return its records alone; see `measure_case`."""
    return measure_case(bench, dataset, item, scale, on_step, prepared).records


def measure_case(
    bench: Bench,
    dataset: str,
    item: Item,
    scale: float,
    on_step: Callable[[str], None] = lambda _: None,
    prepared: Prepared | None = None,
    keep: Callable[[Case, str, Output], None] | None = None,
) -> CaseRows:
    """Measure one case.

    Args:
        bench: Protocol, upsamplers, metrics.
        dataset: Name of the data set, for the records.
        item: The image.
        scale: HR size / LR size.
        on_step: Told the name of each upsampler before it starts.
        prepared: What `prepare` makes of item and scale, if that has been done already.
        keep: Shown the case, each upsampler's name and its output, once it has been scored.

    Returns:
        One record per upsampler x metric, in the bench's order, and what metrics keep beside them.
    """
    torch.manual_seed(bench.seed)
    ready = prepared or prepare(bench, item, scale)
    case = ready.case
    whole = any(map(sees_whole, bench.metrics))
    records = []
    details: dict[str, Table] = {}
    for place, upsampler in enumerate(bench.upsamplers):
        on_step(upsampler.name)
        if case is None:
            answer = Answer(None, None, ready.error)
        else:
            answer = _answer_within_memory(bench, place, case, whole=whole)
        where = {"dataset": dataset, "item": item.name, "scale": scale, "upsampler": upsampler.name}
        told: set[tuple[str, str]] = set()
        for metric in bench.metrics:
            value, reason, rows = _measure(bench, metric, case, answer, told)
            if rows and isinstance(metric, Detailed):
                told.add(rows_of(metric))
                _append(details.setdefault(metric.table, {}), where, rows)
            records.append(
                Record(
                    run=bench.run,
                    suite=bench.suite,
                    suite_version=bench.suite_version,
                    protocol=bench.protocol.name,
                    protocol_hash=bench.protocol.hash,
                    dataset=dataset,
                    item=item.name,
                    scale=scale,
                    lr_source=case.lr_source if case else None,
                    lr_h=case.lr.shape[1] if case else None,
                    lr_w=case.lr.shape[2] if case else None,
                    hr_h=case.size[0] if case else None,
                    hr_w=case.size[1] if case else None,
                    regime=regime(upsampler, scale),
                    upsampler=upsampler.name,
                    weights_sha256=upsampler.weights.sha256 if upsampler.weights else None,
                    metric=metric.name,
                    variant=metric.variant(bench.protocol),
                    higher_is_better=metric.higher_is_better,
                    value=value,
                    seconds=answer.seconds,
                    error=reason,
                )
            )
        if keep is not None and case is not None and answer.output is not None:
            keep(case, upsampler.name, answer.output)
    return CaseRows(records, details)


def _append(table: Table, where: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Add the rows of an output, each with where it belongs, to the columns of a table."""
    for row in rows:
        for column, value in {**where, **row}.items():
            table.setdefault(column, []).append(value)


def prepare(bench: Bench, item: Item, scale: float) -> Prepared:
    """Make a case as `make_case`; what it raises becomes the reason why there is none."""
    try:
        return Prepared(make_case(bench.protocol, item, scale, bench.stopwatch), None)
    except Exception as error:  # an image may be anybody's file
        return Prepared(None, one_line(error))


def make_case(
    protocol: Protocol, item: Item, scale: float, stopwatch: Stopwatch | None = None
) -> Case:
    """Read an item and make its LR as the protocol says.

    Args:
        protocol: Says how LR is made.
        item: The image.
        scale: HR size / LR size.
        stopwatch: Counts the time, if it is wanted.

    Raises:
        LiifBenchError: A file cannot be read, LR and HR do not fit, or the image is too small.
    """
    watch = stopwatch or Stopwatch()
    with watch.stage(READING):
        hr = item.read_hr(scale)
        given = item.read_lr(scale) if protocol.lr.given else None
    with watch.stage(MAKING_LR):
        if given is None:
            lr, cropped = make_pair(hr, scale, protocol.lr)
            source: str = protocol.lr.generator
        else:
            kept, cropped = fit_pair(given, hr, scale)
            lr, source = to_tensor(kept), GIVEN_LR
        return Case(protocol, scale, lr, to_tensor(cropped), source, item.labels, item.name)


def _answer_within_memory(bench: Bench, place: int, case: Case, *, whole: bool) -> Answer:
    """Let an upsampler answer; where memory runs out, again with half as much, and again."""
    upsampler: Upsampler | None = bench.upsamplers[place]
    memory = bench.memory
    answer = Answer(None, None, None)
    while upsampler is not None:
        answer = answer_case(upsampler, case, bench.stopwatch, whole=whole)
        if not answer.too_large:
            break
        free_memory()
        upsampler = bench.with_less_memory(place, memory)
        memory //= 2
    return answer


def free_memory() -> None:
    """Give back what Python and CUDA hold and nobody uses, after memory has run out."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def answer_case(
    upsampler: Upsampler,
    case: Case,
    stopwatch: Stopwatch | None = None,
    *,
    whole: bool = True,
) -> Answer:
    """Let an upsampler enlarge a case; whatever it raises becomes the answer's error.

    Args:
        upsampler: Ready to encode.
        case: Says what and how large.
        stopwatch: Counts the time, if it is wanted.
        whole: Whether SR is rendered now; otherwise only if somebody asks for it, and the answer's
            seconds are those of encoding alone.
    """
    watch = stopwatch or Stopwatch()
    start = time.perf_counter()

    def render() -> Tensor:
        sr = render_encoded(upsampler, image, case, watch)
        try:
            return as_scored(sr, case.protocol)
        except RuntimeError as error:  # there may be room for SR and none for another as large
            raise _refusal(error) from error

    try:
        image = encode(upsampler, case, watch)
        sr = render() if whole else render
    except LiifBenchError as error:
        return Answer(None, None, str(error), isinstance(error, TooLittleMemoryError))
    output = Output(sr, image, partial(watch.stage, render_stage(upsampler.name)))
    return Answer(output, time.perf_counter() - start, None)


def render_case(upsampler: Upsampler, case: Case, stopwatch: Stopwatch | None = None) -> Tensor:
    """Let an upsampler enlarge a case.

    Args:
        upsampler: Ready to encode.
        case: Says what and how large.
        stopwatch: Counts the time, if it is wanted.

    Returns:
        `(3, H, W)`, the size of HR, not yet clamped or rounded.

    Raises:
        LiifBenchError: It raised anything, or its output has another size or is not finite.
    """
    return render_encoded(upsampler, encode(upsampler, case, stopwatch), case, stopwatch)


def encode(upsampler: Upsampler, case: Case, stopwatch: Stopwatch | None = None) -> ContinuousImage:
    """Let an upsampler encode a case; the first half of `render_case`, with its arguments.

    Raises:
        LiifBenchError: It raised anything.
    """
    request = Request(case.item, case.scale, case.size, case.lr)
    watch = stopwatch or Stopwatch()
    try:
        with watch.stage(encode_stage(upsampler.name)):
            if isinstance(upsampler, Oracle):
                return upsampler.encode_truth(case.hr)
            return encode_case(upsampler, request)
    except Exception as error:  # an upsampler may be anybody's code
        raise _refusal(error) from error


def render_encoded(
    upsampler: Upsampler, image: ContinuousImage, case: Case, stopwatch: Stopwatch | None = None
) -> Tensor:
    """Render an encoded case; the second half of `render_case`, with its result.

    Raises:
        LiifBenchError: It raised anything, or its output has another size or is not finite.
    """
    watch = stopwatch or Stopwatch()
    try:
        with watch.stage(render_stage(upsampler.name)):
            return render_checked(image, case.size)
    except Exception as error:  # an upsampler may be anybody's code
        raise _refusal(error) from error


def _refusal(error: Exception) -> LiifBenchError:
    """Return what an upsampler raised as an error of ours, which knows whether memory ran out."""
    if ran_out_of_memory(error):
        return TooLittleMemoryError(one_line(error))
    return LiifBenchError(one_line(error))


def ran_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is too little memory, on the host or on a GPU.

    PyTorch raises a plain `RuntimeError` where the host has too little, and one of a kind that
    changed its name where a GPU has.
    """
    if isinstance(error, (MemoryError, TooLittleMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _TOO_LITTLE)


def finish(sr: Tensor, protocol: Protocol) -> Output:
    """Clamp and round a rendered image as a protocol scores it.

    Args:
        sr: `(3, H, W)` RGB as rendered; [0, 1] but for what will be clamped.
        protocol: Says how SR is rounded.
    """
    return Output(as_scored(sr, protocol))


def _measure(
    bench: Bench,
    metric: Metric,
    case: Case | None,
    answer: Answer,
    told: set[tuple[str, str]],
) -> tuple[float | None, str | None, Sequence[Mapping[str, Any]]]:
    """Return a metric's value, the reason why there is none, and its rows that are not told."""
    if case is None or answer.output is None:
        return None, answer.error, ()
    if metric.name in bench.broken:
        return None, bench.broken[metric.name], ()
    with bench.stopwatch.stage(metric.name):
        value, reason = score_case(metric, case, answer.output)
        failed = reason is not None and not reason.startswith(NOT_APPLICABLE)
        if failed or not isinstance(metric, Detailed) or rows_of(metric) in told:
            return value, reason, ()
        try:
            return value, reason, metric.details(case, answer.output)
        except Exception as error:  # a metric may be anybody's code
            return None, one_line(error), ()


def score_case(metric: Metric, case: Case, output: Output) -> tuple[float | None, str | None]:
    """Let a metric score an output; whatever it raises becomes the reason why there is no value.

    Returns:
        The value or None, and the reason or None.
    """
    try:
        return value_or_error(metric.score(case, output))
    except NotApplicableError as error:
        return None, f"{NOT_APPLICABLE}{error}"
    except Exception as error:  # a metric may be anybody's code
        return None, one_line(error)
