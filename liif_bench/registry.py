"""Named parts (upsamplers, metrics, data sets): listed without importing them, loaded on demand.

A part is one file plus one `Entry` in its folder's registry, or an entry point of another
package in the registry's group. Nothing heavy is imported until a part is loaded, so that
``liif-bench list`` and ``--help`` stay instant.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from importlib import metadata
from typing import Any

from liif_bench.errors import LiifBenchError, one_line, unknown_name


@dataclass(frozen=True)
class Entry:
    """One named part.

    Attributes:
        name: What users type.
        target: ``module:attribute`` of the factory.
        summary: One line for ``liif-bench list``.
        argument: What may follow the name after a colon, or "" where nothing may.
        argument_required: Whether the name alone is not enough.
    """

    name: str
    target: str
    summary: str
    argument: str = ""
    argument_required: bool = False

    @property
    def usage(self) -> str:
        """How the part is named on the command line, for example ``folder:PATH``."""
        if not self.argument:
            return self.name
        suffix = f":{self.argument}"
        return self.name + (suffix if self.argument_required else f"[{suffix}]")


class Registry:
    """The parts of one kind: the built-in ones and those of installed plug-in packages."""

    def __init__(self, kind: str, group: str, entries: Iterable[Entry]) -> None:
        self.kind = kind
        self.group = group
        self._builtin = {entry.name: entry for entry in entries}

    def entries(self) -> dict[str, Entry]:
        """Return every part by name. A plug-in cannot replace a built-in part."""
        found = dict(self._builtin)
        for point in metadata.entry_points(group=self.group):
            summary = f"plug-in {point.value}"
            found.setdefault(point.name, Entry(point.name, point.value, summary, "ARGUMENT"))
        return found

    def parse(self, spec: str) -> tuple[Entry, str]:
        """Split ``name`` or ``name:argument`` and check both.

        Args:
            spec: What the user wrote.

        Returns:
            The entry and the argument ("" where there is none).

        Raises:
            LiifBenchError: The name is unknown, or an argument is missing or out of place.
        """
        name, colon, argument = spec.strip().partition(":")
        known = self.entries()
        if name not in known:
            raise unknown_name(self.kind, name, known)
        entry = known[name]
        if colon and not entry.argument:
            raise LiifBenchError(f"{self.kind} '{name}' takes no argument, got '{spec}'")
        if not argument and (colon or entry.argument_required):
            raise LiifBenchError(
                f"{self.kind} '{spec}' needs an argument: write {self.kind} as {entry.usage}"
            )
        return entry, argument

    def factory(self, spec: str) -> tuple[Any, str]:
        """Import the factory that ``spec`` names.

        Args:
            spec: ``name`` or ``name:argument``.

        Returns:
            The factory and the argument.

        Raises:
            LiifBenchError: As `parse`, or a plug-in that cannot be imported.
        """
        entry, argument = self.parse(spec)
        module, _, attribute = entry.target.partition(":")
        try:
            return reduce(getattr, attribute.split("."), importlib.import_module(module)), argument
        except Exception as error:  # a plug-in may be anybody's code
            if entry.name in self._builtin:
                raise
            raise LiifBenchError(
                f"{self.kind} '{entry.name}' of a plug-in cannot be loaded from"
                f" '{entry.target}': {one_line(error)}"
            ) from error
