"""Settings: a flag wins over the environment, the environment over `.env`; nothing of it is hashed."""

from __future__ import annotations

from pathlib import Path

import pytest

from polytune.errors import UsageError
from polytune.settings import Settings, load_settings, read_dotenv
from tests.messages import matching


def dotenv(folder: Path, text: str) -> Path:
    """A `.env` with that text."""
    path = folder / ".env"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold(tmp_path: Path) -> None:
    """No `.env` and an empty environment give the documented defaults."""
    found = load_settings(tmp_path, {"HOME": "/home/me"})

    home = {"HOME": "/home/me"}
    assert found == Settings(
        cache_folder=Path("/home/me/.cache/polytune"), environment=home, workspace=tmp_path
    )
    assert (found.concurrency, found.threads, found.poll_seconds, found.log_format) == (16, 0, 0.0, "auto")


def test_the_environment_wins_over_dotenv(tmp_path: Path) -> None:
    """A variable of both has the environment's value; one of `.env` alone has that."""
    dotenv(tmp_path, "POLYTUNE_CONCURRENCY=3\nPOLYTUNE_POLL_SECONDS=0.5\n")

    found = load_settings(tmp_path, {"POLYTUNE_CONCURRENCY": "7"})

    assert (found.concurrency, found.poll_seconds) == (7, 0.5)
    assert found.environment["POLYTUNE_CONCURRENCY"] == "7"


def test_this_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an environment given, that of the process counts."""
    monkeypatch.setenv("POLYTUNE_THREADS", "2")

    assert load_settings(tmp_path).threads == 2


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"POLYTUNE_CACHE": "/big/disk", "XDG_CACHE_HOME": "/xdg", "HOME": "/me"}, "/big/disk"),
        ({"XDG_CACHE_HOME": "/xdg", "HOME": "/me"}, "/xdg/polytune"),
        ({"POLYTUNE_CACHE": "", "HOME": "/me"}, "/me/.cache/polytune"),
    ],
)
def test_the_cache_is_where_one_would_look(tmp_path: Path, environment: dict[str, str], folder: str) -> None:
    """POLYTUNE_CACHE, else XDG_CACHE_HOME, else the home folder's cache; empty means unset."""
    assert load_settings(tmp_path, environment).cache_folder == Path(folder)


def test_concurrency_is_at_least_one(tmp_path: Path) -> None:
    """Zero workers would wait for ever."""
    assert load_settings(tmp_path, {"POLYTUNE_CONCURRENCY": "0"}).concurrency == 1


@pytest.mark.parametrize("name", ["POLYTUNE_CONCURRENCY", "POLYTUNE_THREADS", "POLYTUNE_POLL_SECONDS"])
@pytest.mark.parametrize("value", ["many", "-1", "inf", "nan"])
def test_a_number_that_is_none_is_told(tmp_path: Path, name: str, value: str) -> None:
    """The variable and its value are in the message."""
    with pytest.raises(
        UsageError,
        match=f"^{name}: " + matching("settings/is-not-number-from-upwards", value=value) + "$",
    ):
        load_settings(tmp_path, {name: value})


def test_a_word_that_is_unknown_is_told_with_the_known_ones(tmp_path: Path) -> None:
    """A log format that does not exist names those that do."""
    with pytest.raises(
        UsageError,
        match="^" + matching("settings/is-not-one-of-auto", name="POLYTUNE_LOG_FORMAT", name2="xml") + "$",
    ):
        load_settings(tmp_path, {"POLYTUNE_LOG_FORMAT": "xml"})


def test_dotenv_is_read_as_people_write_it(tmp_path: Path) -> None:
    """Comments, blanks, `export`, quotes and spaces are understood; later lines win; a quoted `#` stays."""
    path = dotenv(
        tmp_path,
        "# comment\n\nA=1\nexport B = two words \nC='x # y'\nD=\"z\"\nE=v # note\nA=9\nno line\nF=a=b\nG=\n",
    )

    assert read_dotenv(path) == {
        "A": "9", "B": "two words", "C": "x # y", "D": "z", "E": "v", "F": "a=b", "G": "",
    }  # fmt: skip


def test_a_missing_dotenv_says_nothing(tmp_path: Path) -> None:
    """No file, no variables, no error."""
    assert read_dotenv(tmp_path / ".env") == {}


def test_secrets_are_not_shown_in_a_repr(tmp_path: Path) -> None:
    """A settings value that ends in a message or a stack shows no variable."""
    dotenv(tmp_path, "API_KEY=hunter2\n")

    found = load_settings(tmp_path, {})

    assert found.environment["API_KEY"] == "hunter2"
    assert "hunter2" not in repr(found)
