"""What the TypeScript exporter writes compiles under `tsc --strict`, and node reads the values back."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from polytune.exporters.interface import EXPORTERS
from tests.exporters.conftest import Compile
from tests.exporters.exporter_samples import as_json, hostile_configs, plain, unknown

pytestmark = pytest.mark.xdist_group("typescript")


def test_every_value_survives_strict_typescript(strict_typescript: Compile, tmp_path: Path) -> None:
    """Hostile texts, missing facts and tiny prices compile without a word and keep their values."""
    expected = [plain, unknown, *hostile_configs()]
    for index, config in enumerate(expected):
        text = EXPORTERS.load("typescript")().render(config)
        (tmp_path / f"m{index}.ts").write_text(text, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    reading = ";".join(f"import {{model as m{n}}} from './m{n}.js'" for n in range(len(expected)))
    values = ",".join(f"m{n}" for n in range(len(expected)))
    (tmp_path / "print.js").write_text(f"{reading};console.log(JSON.stringify([{values}]))")

    said = strict_typescript(tmp_path / f"m{index}.ts" for index in range(len(expected)))
    printed = subprocess.run(
        ["node", "print.js"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert said == ""
    assert printed.stderr == ""
    found = json.loads(printed.stdout)
    assert [list(each.values()) for each in found] == [list(as_json(c).values()) for c in expected]
    assert found[0].keys() >= {"baseModel", "inputUsdPerMillionTokens", "inputs"}
