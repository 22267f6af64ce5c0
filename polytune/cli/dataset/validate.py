"""`polytune dataset validate`: the same command as `polytune validate`."""

from __future__ import annotations

from polytune.cli.validate import command as command
