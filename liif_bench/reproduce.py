"""Published tables, measured again: a suite's run and what it says about the published values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from liif_bench.analysis.published import Comparison, compare_with_published
from liif_bench.datasets import load_dataset
from liif_bench.errors import DataUnavailableError, LiifBenchError
from liif_bench.harness import run_plan
from liif_bench.progress import Progress, silent
from liif_bench.records import Run
from liif_bench.references import Reference, shipped_references
from liif_bench.suite import Plan


@dataclass(frozen=True)
class Reproduction:
    """A run and what it says about published values.

    Attributes:
        run: What could be measured here.
        comparisons: One per published value, also of those that could not be measured.
        missing: Why a data set of the suite could not be opened, by name.
    """

    run: Run
    comparisons: tuple[Comparison, ...]
    missing: dict[str, str]

    @property
    def missed(self) -> bool:
        """Whether a confirmed value was measured and is not what was published."""
        return any(one.verdict == "missed" for one in self.comparisons)


def reproduce_plan(
    plan: Plan,
    out: Path | None = None,
    *,
    references: Iterable[Reference] | None = None,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Reproduction:
    """Run what of a plan can be run here and hold it against published values.

    Args:
        plan: A suite whose models, data sets and protocol occur in the references.
        out: Folder of the run, made or continued; ``reports/<suite>-<time>`` where None.
        references: Published rows; all that are shipped where None.
        command: The command line, for the manifest.
        progress: Shown what goes on.

    Returns:
        The run and the comparisons.

    Raises:
        LiifBenchError: Nothing is published for the plan, or none of its data sets is there.
    """
    rows = [
        reference
        for reference in (shipped_references() if references is None else references)
        if reference.dataset in plan.datasets
        and reference.upsampler in plan.models
        and reference.metric in plan.metrics
        and reference.protocol_hash == plan.protocol.hash
        and reference.values.keys() & set(plan.scales)
    ]
    if not rows:
        raise LiifBenchError(
            f"nothing is published for suite '{plan.suite}' at these scales and data sets:"
            " 'liif-bench reproduce' knows liif-table1, liif-table2 and mmagic-liif"
        )
    missing: dict[str, str] = {}
    for spec in plan.datasets:
        try:
            load_dataset(spec, plan.data_root)
        except DataUnavailableError as error:
            missing[spec] = str(error)
    there = tuple(spec for spec in plan.datasets if spec not in missing)
    if not there:
        raise LiifBenchError("; ".join(missing.values()))
    run = run_plan(
        plan.model_copy(update={"datasets": there}), out, command=command, progress=progress
    )
    comparisons = compare_with_published(run.records, rows, plan.scales, missing)
    return Reproduction(run, tuple(comparisons), missing)
