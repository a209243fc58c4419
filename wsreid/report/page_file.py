"""The page of a report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

SCRIPTS: Final = ("dom.js", "charts.js", "lists.js", "bags.js")
_END: Final = "</script"


def page(fields: Mapping[str, object], data: Mapping[str, Any]) -> str:
    """Renders the page.

    All text is escaped where it is put: names and paths are whatever a user called them. Beyond that the page carries
    a policy by which a browser runs the scripts of this package alone, and loads nothing from anywhere.

    Args:
        fields: What the template shows.
        data: What the scripts show; numbers must be finite.

    Returns:
        HTML.
    """
    scripts = [get_plotlyjs(), *(_own(name) for name in SCRIPTS)]
    # nothing here is of a user: these texts belong to the package and to plotly
    style = Markup(_own("report.css"))
    environment = Environment(
        loader=PackageLoader(__package__, "page"), autoescape=True, undefined=StrictUndefined, trim_blocks=False
    )
    return environment.get_template("report.html").render(
        fields,
        style=style,
        scripts=[Markup(_closed(script)) for script in scripts],
        policy=_policy(scripts),
        data=Markup(script_json(data)),
    )


def script_json(data: Mapping[str, Any]) -> str:
    """JSON that may stand inside a script element whatever its strings hold.

    Args:
        data: The values.

    Raises:
        ValueError: A number is not finite.
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _own(name: str) -> str:
    return (files(__package__) / "page" / name).read_text(encoding="utf-8")


def _closed(script: str) -> str:
    if _END in script.lower():
        raise ValueError(f"a script holds {_END}, which would end it")
    return script


def _policy(scripts: Sequence[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    # plotly writes style attributes; they can load nothing, as the policy names no source of images but the page
    rest = "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {hashes}; {rest}"
