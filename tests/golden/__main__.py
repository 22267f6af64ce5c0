"""`python -m tests.golden`: writes `table.yaml` anew, unless something changed without a new version."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from tests.golden import faults, recorded, table, table_path


def main() -> int:
    """Return 0 when the table is written, 1 when a change needs a new version first."""
    with TemporaryDirectory() as folder:
        new = table(Path(folder))
    found = list(faults(recorded() if table_path.exists() else {}, new))
    if found:
        sys.stderr.write("\n".join(found) + "\n")
        return 1
    table_path.write_text(yaml.safe_dump(new, allow_unicode=True, width=1000), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
