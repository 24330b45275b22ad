"""Pages from the templates beside this file, with their style and scripts inside.

A page carries a policy that lets it run the script and use the style that it was written with, by
their hashes, show pictures that it holds, and nothing else: no request leaves it, and a name that
slipped through the escaping could do nothing.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent

_environment = Environment(
    loader=FileSystemLoader(_HERE),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def render_page(template: str, scripts: tuple[str, ...], **content: Any) -> str:
    """Render a page.

    Args:
        template: Name of a file beside this one.
        scripts: Names of script files beside this one, run in this order.
        content: What the template shows; every text is escaped.
    """
    style = (_HERE / "style.css").read_text(encoding="utf-8")
    script = "\n".join((_HERE / name).read_text(encoding="utf-8") for name in scripts)
    policy = (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;"
        f" style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    )
    return _environment.get_template(template).render(
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        **content,
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def data_uri(content: bytes) -> str:
    """Return a PNG file as an address that holds it."""
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"
