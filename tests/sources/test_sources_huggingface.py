"""Datasets on disk as records, in the layouts that the `datasets` library and the hub have."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from polytune.errors import DataError, Unavailable
from polytune.extras import install_command
from tests.messages import matching, message

from .made import complaints, pairs, records, source

Write = Callable[..., None]


@pytest.fixture
def arrow() -> Any:
    """The library, where it is installed."""
    return pytest.importorskip("pyarrow", reason="pyarrow is not installed")


@pytest.fixture
def write(arrow: Any) -> Write:
    """Writes columns as the file's ending says."""
    parquet = pytest.importorskip("pyarrow.parquet")

    def written(path: Path, columns: Mapping[str, Sequence[object]], batch: int = 2) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        table = arrow.table(dict(columns))
        if path.suffix == ".parquet":
            parquet.write_table(table, path)
            return
        with arrow.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table, max_chunksize=batch)

    return written


def test_without_the_library(tmp_path: Path) -> None:
    """What to install is said before a run, and by whoever reads all the same."""
    if importlib.util.find_spec("pyarrow") is not None:
        pytest.skip("pyarrow is installed")
    (tmp_path / "set").mkdir()
    made = source(tmp_path, "huggingface", folder="set")

    assert install_command("huggingface", "pyarrow") in str(made.missing())
    with pytest.raises(Unavailable, match="pyarrow"):
        list(made.records())


def test_a_saved_dataset(tmp_path: Path, write: Write) -> None:
    """Several Arrow files in order, with a line for each row; empty values are no values."""
    columns = {"question": ["Q1", "Q2", "Q3"], "answer": ["A", "A", None]}
    write(tmp_path / "set/data-00000-of-00002.arrow", columns)
    write(tmp_path / "set/data-00001-of-00002.arrow", {"question": ["Q4"], "answer": ["A"]})
    write(tmp_path / "set/cache-0123.arrow", {"question": ["what map() left"], "answer": ["A"]})
    (tmp_path / "set/state.json").write_text(json.dumps({"_data_files": []}))

    found = list(source(tmp_path, "huggingface", folder="set").records())

    assert pairs(found) == [("Q1", "A"), ("Q2", "A"), ("Q4", "A")]
    assert complaints(found)[0].startswith(
        "set/data-00000-of-00002.arrow:3: " + message("general/prompt-has-no-answer")
    )
    last = records(found[-1:])[0]
    assert (last.file, last.line) == ("set/data-00001-of-00002.arrow", 1)


@pytest.mark.parametrize(
    "name", ["set/test/data-00000-of-00001.arrow", "set/data/test-00000-of-00001.parquet"]
)
def test_a_split_is_found(tmp_path: Path, write: Write, name: str) -> None:
    """By its own folder, or by the beginning of the files' names."""
    write(tmp_path / name.replace("test", "train"), {"prompt": ["train"], "completion": ["A"]})
    write(tmp_path / name, {"prompt": ["test"], "completion": ["A"]})

    assert pairs(source(tmp_path, "huggingface", folder="set", split="test").records()) == [("test", "A")]
    assert pairs(source(tmp_path, "huggingface", folder="set").records()) == [("train", "A")]
    with pytest.raises(
        DataError, match=matching("sources/no-or-files-of-split", path=".arrow", name=".parquet", split="dev")
    ):
        list(source(tmp_path, "huggingface", folder="set", split="dev").records())


def test_chats_and_named_columns(tmp_path: Path, write: Write) -> None:
    """Lists of messages are chats; other columns go by their names."""
    chat = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
    write(tmp_path / "chat/train.parquet", {"messages": [chat], "n": [1]})
    write(tmp_path / "own/train.arrow", {"q": ["Q"], "a": [{"code": "x"}], "stars": [5]})
    fields = {"prompt": "q", "answer": "a.code", "rating": "stars"}

    assert pairs(source(tmp_path, "huggingface", folder="chat").records()) == [("Q", "A")]
    (own,) = records(source(tmp_path, "huggingface", folder="own", fields=fields).records())
    assert (own.prompt, own.answer, own.rating) == ("Q", "x", 5.0)


def test_a_broken_file(tmp_path: Path, arrow: Any) -> None:
    """A file that is no Arrow is named."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set/data-00000-of-00001.arrow").write_bytes(b"no arrow at all, but long enough")

    with pytest.raises(
        DataError, match=r"set/data-00000-of-00001\.arrow: " + matching("general/cannot-be-read")
    ):
        list(source(tmp_path, "huggingface", folder="set").records())
