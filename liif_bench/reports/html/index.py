"""A page over all runs of a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from liif_bench.errors import LiifBenchError
from liif_bench.records import MANIFEST, read_manifest
from liif_bench.reports.html.page import render_page

PAGE = "report.html"
"""What a run's report is called in its folder."""


@dataclass(frozen=True)
class Listed:
    """A run in the list.

    Attributes:
        name: Of its folder.
        link: Where its report lies, as seen from the page; empty where there is none.
        texts: What stands in the further columns.
    """

    name: str
    link: str
    texts: tuple[str, ...]


COLUMNS = ("Created", "Suite", "Protocol", "Data sets", "Models", "Scales", "Cases", "Errors")


def build_index(folder: Path, seen_from: Path) -> str:
    """Build a page that lists the runs of a folder, the newest first.

    Args:
        folder: Whose folders are runs; others are passed over.
        seen_from: Folder that the page will lie in.

    Raises:
        LiifBenchError: There is no such folder, or it cannot be read.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if (path / MANIFEST).is_file())
    except OSError as error:
        raise LiifBenchError(f"cannot read --index '{folder}': {error.strerror}") from error
    listed: list[tuple[str, Listed]] = []
    damaged: list[str] = []
    for path in paths:
        try:
            manifest = read_manifest(path) or {}
            texts = _texts(manifest)
        except LiifBenchError as error:
            damaged.append(str(error))
            continue
        except (KeyError, TypeError, AttributeError) as error:
            damaged.append(f"'{path / MANIFEST}' is damaged: it lacks {error}")
            continue
        page = path / PAGE
        link = quote(Path(os.path.relpath(page, seen_from)).as_posix()) if page.is_file() else ""
        listed.append((texts[0], Listed(path.name, link, texts)))
    listed.sort(key=lambda each: each[0], reverse=True)
    return render_page(
        "index.html.j2",
        ("tables.js",),
        title=f"Runs in {folder.resolve().name}",
        columns=COLUMNS,
        runs=[run for _, run in listed],
        damaged=damaged,
    )


def _texts(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    plan = manifest["plan"]
    errors = str(manifest["errors"]) if manifest.get("finished") else "not finished"
    return (
        str(manifest["created"])[:19].replace("T", " "),
        f"{plan['suite']} {plan['suite_version']}",
        str(plan["protocol"]),
        ", ".join(plan["datasets"]),
        ", ".join(plan["models"]),
        ", ".join(f"x{scale:g}" for scale in plan["scales"]),
        str(manifest.get("cases", "")),
        errors,
    )
