"""Heavy modules, each imported on first use.

    from polytune import parts
    parts.session.Session(...)

A run that finds nothing to do must not spend time importing what compiles, executes, or emulates paid
services. Type checkers and import contracts read the imports below; at run time `__getattr__` performs them.
Below `wiring`, a heavy module is imported inside the function that needs it (see `per-file-ignores` in
pyproject.toml); elsewhere, imports are at the top of the file.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from polytune import step_factory as step_factory
    from polytune.emulator import environment as environment
    from polytune.engine import compile as compiler
    from polytune.engine import preflight as preflight
    from polytune.engine import session as session
    from polytune.engine import step as step
    from polytune.report import differences as differences
    from polytune.report import markdown as markdown
    from polytune.report import text as text
    from polytune.spec import jsonschema as jsonschema
else:
    _homes = {
        "compiler": "polytune.engine.compile",
        "differences": "polytune.report.differences",
        "environment": "polytune.emulator.environment",
        "jsonschema": "polytune.spec.jsonschema",
        "markdown": "polytune.report.markdown",
        "preflight": "polytune.engine.preflight",
        "session": "polytune.engine.session",
        "step": "polytune.engine.step",
        "step_factory": "polytune.step_factory",
        "text": "polytune.report.text",
    }

    def __getattr__(name: str) -> ModuleType:
        if name not in _homes:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = import_module(_homes[name])
        return globals()[name]


__all__ = [
    "compiler",
    "differences",
    "environment",
    "jsonschema",
    "markdown",
    "preflight",
    "session",
    "step",
    "step_factory",
    "text",
]
