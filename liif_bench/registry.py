"""Named parts (upsamplers, metrics, data sets): listed without importing them, loaded on demand.

A part is one file plus one `Entry` in its folder's registry, or an entry point of another
package in the registry's group. Nothing heavy is imported until a part is loaded, so that
``liif-bench list`` and ``--help`` stay instant.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
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
        title: What tables and figures call a metric; "" for its name.
        decimals: Digits after the point that they show of it.
        requires: Modules that it imports and that are not installed with liif-bench everywhere.
        extra: The extra of liif-bench that installs them; "" where liif-bench alone should have.
        weights: Ids of the registered weights that it reads.
        foreign: What of somebody else's it runs, such as "a program"; "" where it runs nothing.
            A part that does is used only where the user named it.
        package: The plug-in package that brought it; "" for a built-in part.
    """

    name: str
    target: str
    summary: str
    argument: str = ""
    argument_required: bool = False
    title: str = ""
    decimals: int = 4
    requires: tuple[str, ...] = ()
    extra: str = ""
    weights: tuple[str, ...] = ()
    foreign: str = ""
    package: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules of `requires` that are not installed; nothing is imported to find out."""
        return tuple(name for name in self.requires if not _is_installed(name))

    @property
    def remedy(self) -> str:
        """The command that installs what is missing."""
        wanted = f"'liif-bench[{self.extra}]'" if self.extra else " ".join(self.missing)
        return f"pip install {wanted}"

    @property
    def usage(self) -> str:
        """How the part is named on the command line, for example ``folder:PATH``."""
        if not self.argument:
            return self.name
        suffix = f":{self.argument}"
        return self.name + (suffix if self.argument_required else f"[{suffix}]")


def _is_installed(module: str) -> bool:
    """Whether there is a module of that name; any folder would be one, if it had no origin."""
    spec = importlib.util.find_spec(module)
    return spec is not None and spec.origin is not None


class Registry:
    """The parts of one kind: the built-in ones and those of installed plug-in packages.

    Args:
        kind: What users call such a part, in the singular.
        group: Entry points of this group are plug-ins.
        entries: The built-in parts.
        members: Attributes that every part must have once it is made.

    Attributes:
        builtin: The built-in parts by name. Unlike `entries`, it looks for no plug-ins.
    """

    def __init__(
        self, kind: str, group: str, entries: Iterable[Entry], members: Iterable[str] = ()
    ) -> None:
        self.kind = kind
        self.group = group
        self.members = tuple(members)
        self.builtin: Mapping[str, Entry] = {entry.name: entry for entry in entries}

    def entries(self) -> dict[str, Entry]:
        """Return every part by name. A plug-in cannot replace a built-in part."""
        found = dict(self.builtin)
        for point in metadata.entry_points(group=self.group):
            summary = f"plug-in {point.value}"
            package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
            entry = Entry(point.name, point.value, summary, "ARGUMENT", package=package)
            found.setdefault(point.name, entry)
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

    def lack(self, entry: Entry) -> str:
        """Return one line: which modules a part lacks and how to get them."""
        return (
            f"{self.kind} '{entry.name}' needs {' and '.join(entry.missing)}, which is not"
            f" installed: {entry.remedy}"
        )

    def refuse_foreign(self, specs: Iterable[str], where: str) -> None:
        """Refuse parts that run somebody else's code where the user did not name them.

        Args:
            specs: As they stand in a file.
            where: The file, as in "suite 'x'".

        Raises:
            LiifBenchError: One of them would run something.
        """
        for spec in specs:
            entry, _ = self.parse(spec)
            if entry.foreign:
                raise LiifBenchError(
                    f"{where} names {self.kind} '{spec}', which runs {entry.foreign}: if you trust"
                    f" it, name it yourself with --{self.kind} '{spec}'"
                )

    def factory(self, spec: str) -> tuple[Any, str]:
        """Import the factory that ``spec`` names.

        Args:
            spec: ``name`` or ``name:argument``.

        Returns:
            The factory and the argument.

        Raises:
            LiifBenchError: As `parse`; what it requires is not installed; a plug-in that cannot
                be imported.
        """
        entry, argument = self.parse(spec)
        if entry.missing:
            raise LiifBenchError(self.lack(entry))
        module, _, attribute = entry.target.partition(":")
        try:
            return reduce(getattr, attribute.split("."), importlib.import_module(module)), argument
        except Exception as error:  # a plug-in may be anybody's code
            if not entry.package:
                raise
            raise LiifBenchError(
                f"{self.kind} '{entry.name}' of {entry.package} cannot be loaded from"
                f" '{entry.target}': {one_line(error)}"
            ) from error

    def make(self, spec: str, *given: Any) -> Any:
        """Make the part that ``spec`` names.

        Args:
            spec: ``name`` or ``name:argument``.
            given: What every factory of this kind is called with; the argument follows where there
                is one.

        Raises:
            LiifBenchError: As `factory`; the factory's own; a plug-in's factory that raises
                anything else, or makes something that lacks what such a part must have.
        """
        factory, argument = self.factory(spec)
        entry, _ = self.parse(spec)
        try:
            part = factory(*given, argument) if argument else factory(*given)
        except LiifBenchError:
            raise
        except Exception as error:  # a plug-in may be anybody's code
            if not entry.package:
                raise
            raise LiifBenchError(
                f"{self.kind} '{spec}' of {entry.package} cannot be made: {one_line(error)}"
            ) from error
        if lacking := [member for member in self.members if not hasattr(part, member)]:
            raise LiifBenchError(
                f"{self.kind} '{spec}' of {entry.package or 'liif-bench'} lacks"
                f" {', '.join(lacking)}: see docs/adding.md for what a {self.kind} must have"
            )
        return part
