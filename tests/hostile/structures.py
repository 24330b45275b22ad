"""Files whose syntax is right and whose content is not: values of a good tree, replaced."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hostile.campaign import INPUTS, one, verdict
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

_TEXT = st.text(max_size=8) | st.sampled_from(
    ["", " ", "nan", "inf", "psnr", "set5", "../x", "/dev/null", "a\nb", "\x1b[2J", "\u202e", "x:"]
)
_NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**63, 10**30, 1e308, 5e-324])
VALUES = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
"""Anything that JSON can say, and NaN and infinity, which Python's JSON says too."""


def _places(tree: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node but the root."""
    children = tree.items() if isinstance(tree, dict) else enumerate(tree)  # type: ignore[arg-type]
    for key, child in children:
        yield (*path, key)
        if isinstance(child, (dict, list)):
            yield from _places(child, (*path, key))


@st.composite
def damaged(
    draw: st.DrawFn, tree: Any, words: Sequence[str] = (), values: Sequence[Any] = ()
) -> Any:
    """A copy of a tree with one to three nodes replaced, removed, renamed or doubled."""
    names = _TEXT | st.sampled_from(words) if words else _TEXT
    replacements = VALUES | st.sampled_from(values) if values else VALUES
    changed = copy.deepcopy(tree)
    for _ in range(draw(st.sampled_from((1, 1, 1, 2, 3)))):
        places = list(_places(changed))
        if not places:
            break
        *path, last = draw(st.sampled_from(places))
        node = changed
        for key in path:
            node = node[key]
        what = draw(st.sampled_from(("replace", "replace", "remove", "add", "move")))
        if what == "replace":
            node[last] = draw(replacements)
        elif what == "remove":
            del node[last]
        elif what == "add" and isinstance(node, list):
            node.append(draw(replacements))
        elif what == "add":
            node[draw(names)] = draw(replacements)
        elif isinstance(node, list):
            node.append(copy.deepcopy(node[last]))
        else:
            node[draw(names)] = node.pop(last)
    return changed


def structured(
    target: str,
    tree: Any,
    read: Callable[[Any], object],
    words: Sequence[str] = (),
    values: Sequence[Any] = (),
) -> None:
    """Try `INPUTS` damaged trees on a reader, and fail where it crashed.

    Args:
        target: Name in the tally.
        tree: Dicts and lists that the reader takes.
        read: The reader, with what has to hold of its answers.
        words: Further names that a node may get.
        values: Further values that a node may get.
    """

    @settings(
        max_examples=INPUTS,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(damaged(tree, words, values))
    def campaign(content: Any) -> None:
        one(target, content, read)

    campaign()
    verdict(target)


def json_text(tree: object) -> bytes:
    """JSON as Python writes it, lone surrogates as escapes."""
    return json.dumps(tree).encode()


def toml_text(tree: dict[str, Any]) -> bytes:
    """TOML, tables inline; what TOML cannot say (null, lone surrogates) becomes what is near."""
    lines = (f"{_key(key)} = {_toml(value)}\n" for key, value in tree.items())
    return "".join(lines).encode("utf-8", "backslashreplace")


def _key(key: object) -> str:
    return json.dumps(str(key), ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: object) -> str:
    if value is None:
        return '""'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_toml(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, str):
        return _key(value)
    return json.dumps(value)
