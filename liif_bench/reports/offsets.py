"""An audit as tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence

from liif_bench.analysis.offsets import Audit, Offset, path
from liif_bench.protocol import Protocol
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH

_TITLES = {"psnr": ("PSNR", " dB", 3), "ssim": ("SSIM", "", 5), "lpips": ("LPIPS", "", 5)}

Group = tuple[str, str]


def audit_grids(audit: Audit) -> list[Grid]:
    """Return, for each data set and upsampler: presets, single choices, and why presets differ."""
    grids = []
    for group in audit.groups():
        where = f"{group[0]}, {group[1]}"
        grids += [_presets(audit, group, metric, where) for metric in audit.metrics]
        grids.append(_single(audit, group, where))
        grids.append(_sentences(audit, group, where))
    return grids


def _presets(audit: Audit, group: Group, metric: str, where: str) -> Grid:
    title, unit, decimals = _TITLES[metric]
    base = audit.base
    rows = []
    for protocol in (base, *(preset for preset in audit.presets if preset.name != base.name)):
        row = [protocol.name]
        for scale in audit.scales():
            mean = audit.mean(protocol, group, metric, scale)
            offset = audit.offset(base, protocol, group, metric, scale)
            row.append(DASH if mean is None else f"{mean:.{decimals}f}")
            row.append("" if protocol is base else _signed(offset, decimals))
        rows.append(tuple(row))
    columns = [name for scale in audit.scales() for name in (f"x{scale:g}", "offset")]
    return Grid(
        f"{where}: {title}{unit} under each protocol, and offset from {base.name}",
        ("protocol", *columns),
        tuple(rows),
        unit=2,
        styles={0: "bold"},
        notes=_partial_notes(audit, group, metric),
    )


def _partial_notes(audit: Audit, group: Group, metric: str) -> tuple[str, ...]:
    """Name what has no score under a protocol of the table."""
    scores = audit.scores
    hashes = {protocol.hash: protocol.name for protocol in (audit.base, *audit.presets)}
    lost = scores[
        (scores["dataset"] == group[0])
        & (scores["upsampler"] == group[1])
        & (scores["metric"] == metric)
        & scores["error"].notna()
        & scores["protocol_hash"].isin(list(hashes))
    ]
    return tuple(
        dict.fromkeys(
            f"no value: {item} x{scale:g} under {hashes[digest]}: {error}"
            for item, scale, digest, error in lost[
                ["item", "scale", "protocol_hash", "error"]
            ].itertuples(index=False)
        )
    )


def _single(audit: Audit, group: Group, where: str) -> Grid:
    rows = []
    for step in audit.steps:
        concerned = [metric for metric in audit.metrics if step.concerns(metric)]
        for states in dict.fromkeys(step.states(metric) for metric in concerned):
            alike = {metric for metric in concerned if step.states(metric) == states}
            numbers = [
                _signed(
                    audit.offset(step.before, step.after, group, metric, scale), _TITLES[metric][2]
                )
                if metric in alike
                else ""
                for metric in audit.metrics
                for scale in audit.scales()
            ]
            rows.append((step.choice, *states, *numbers))
    columns = [
        f"{_TITLES[metric][0]} x{scale:g}" for metric in audit.metrics for scale in audit.scales()
    ]
    return Grid(
        f"{where}: one choice of {audit.base.name} changed at a time, and what it moves",
        ("choice", "from", "to", *columns),
        tuple(rows),
        names=3,
    )


def _sentences(audit: Audit, group: Group, where: str) -> Grid:
    notes = [
        sentence(audit, group, metric, preset)
        for preset in audit.presets
        if preset.name != audit.base.name
        for metric in audit.metrics
    ]
    return Grid(
        f"{where}: why the presets differ from {audit.base.name}", (), (), notes=tuple(notes)
    )


def sentence(audit: Audit, group: Group, metric: str, preset: Protocol) -> str:
    """Say how far a preset lies from the base and which choices cause it; the parts add up."""
    title, unit, decimals = _TITLES[metric]
    scales = " / ".join(f"x{scale:g}" for scale in audit.scales())
    steps = [step for step in path(audit.base, preset) if step.concerns(metric)]
    if not steps:
        return f"{preset.name} makes the same choices for {title} as {audit.base.name}."
    moved, idle = [], []
    for step in steps:
        offsets = [
            audit.offset(step.before, step.after, group, metric, scale) for scale in audit.scales()
        ]
        if any(offset is None or abs(offset.mean) >= 0.5 * 10**-decimals for offset in offsets):
            moved.append(f"{step.describe(metric)} {_joined(offsets, decimals)}")
        else:
            idle.append(step.describe(metric))
    total = [audit.offset(audit.base, preset, group, metric, s) for s in audit.scales()]
    text = f"{preset.name} in {title} at {scales}: {_joined(total, decimals)}{unit}"
    if moved:
        text += f", of which {'; '.join(moved)}"
    return f"{text}." + (f" Without effect here: {'; '.join(idle)}." if idle else "")


def _joined(offsets: Sequence[Offset | None], decimals: int) -> str:
    return " / ".join(_signed(offset, decimals) for offset in offsets)


def _signed(offset: Offset | None, decimals: int) -> str:
    if offset is None:
        return DASH
    rounded = round(offset.mean, decimals) + 0.0  # no minus in front of zero
    return f"{rounded:+.{decimals}f}"
