"""What the TypeScript exporter writes compiles under `tsc --strict`, and node reads the values back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from polytune.exporters.interface import EXPORTERS, ModelConfig

pytestmark = pytest.mark.xdist_group("typescript")

typescript_version = "5.9.3"
options = ("--strict", "--target", "es2022", "--module", "es2022", "--noUnusedLocals", "--noUnusedParameters")

hostile = (
    "",
    "'single' \"double\" `tick` ${code}",
    "back\\slash and \\n that is no newline",
    "line one\nline two\r\nline three",
    "*/ alert(1) /* // <!-- --> </script><script>",
    "a\u2028b\u2029c\u0085d",
    "emoji 🎛️ and 日本語",
    "\0\x07\x1b[31m",
    "__proto__",
)
numbers = (1e-9, None, 0.0, 123456.789)


def configs() -> list[ModelConfig]:
    """One configuration per hostile text, with the numbers in turn."""
    return [
        ModelConfig(
            name=text,
            uri=text,
            platform="local",
            base_model=text,
            layout="prompt-completion",
            system=text,
            parameters=None if index % 2 else 134_515_008,
            input_usd_per_million_tokens=numbers[index % len(numbers)],
            digest=text,
        )
        for index, text in enumerate(hostile)
    ]


@pytest.fixture(scope="session")
def compiler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """TypeScript's compiler, installed by npm into a folder of its own."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm and node are not installed")
    folder = tmp_path_factory.mktemp("typescript")
    wanted = f"typescript@{typescript_version}"
    command = [
        "npm",
        "install",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        wanted,
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not answer within two minutes")
    if done.returncode:
        pytest.skip(f"npm could not install {wanted}: {done.stderr.strip()[-200:]}")
    return folder / "node_modules" / "typescript" / "bin" / "tsc"


def test_every_value_survives_strict_typescript(compiler: Path, tmp_path: Path) -> None:
    """Hostile texts, missing facts and tiny prices compile without a word and keep their values."""
    expected = configs()
    for index, config in enumerate(expected):
        text = EXPORTERS.load("typescript")().render(config)
        (tmp_path / f"m{index}.ts").write_text(text, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    sources = [str(tmp_path / f"m{index}.ts") for index in range(len(expected))]
    reading = ";".join(f"import {{model as m{n}}} from './m{n}.js'" for n in range(len(expected)))
    values = ",".join(f"m{n}" for n in range(len(expected)))
    (tmp_path / "print.js").write_text(f"{reading};console.log(JSON.stringify([{values}]))")

    compiled = subprocess.run(
        [str(compiler), *options, *sources], capture_output=True, text=True, check=False, timeout=120
    )
    printed = subprocess.run(
        ["node", "print.js"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )

    assert (compiled.returncode, compiled.stdout) == (0, "")
    assert printed.stderr == ""
    found = json.loads(printed.stdout)
    assert [list(each.values()) for each in found] == [list(msgspec.structs.astuple(c)) for c in expected]
    assert found[0].keys() >= {"baseModel", "inputUsdPerMillionTokens"}


def test_a_value_cannot_end_a_script_element() -> None:
    """A constant that an application puts into a page holds no `</script>`."""
    config = configs()[4]

    assert "</script>" in config.system
    assert "<" not in EXPORTERS.load("typescript")().render(config)
