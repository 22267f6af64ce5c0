"""Runs the command line with `python -m polytune`."""

from __future__ import annotations

from polytune.cli.main import main

main()
