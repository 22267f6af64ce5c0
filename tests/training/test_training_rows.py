"""Reading training rows: both layouts, and every way a line can be wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from polytune.errors import DataError
from polytune.training.rows import TrainingPrompt, TrainingRow, TrainingTurn, asking, parse_row, read_rows
from tests.messages import matching, message
from tests.training.training_jobs import conversation, pair


def test_reads_a_conversation() -> None:
    """A conversation's last turn is the answer; the turns before it and the system prompt are asked."""
    row = parse_row(conversation("Play.", 's("bd")').encode())

    assert row == TrainingRow(asked=asking("Play.", "You write Strudel code."), answer='s("bd")')


def test_reads_earlier_turns() -> None:
    """Turns before the last question belong to what is asked; parts of one turn are joined by a newline."""
    messages = [("user", ["a", "b"]), ("assistant", ["c"]), ("user", ["d"]), ("assistant", ["e"])]
    line = {
        "schemaVersion": "bedrock-conversation-2024",
        "messages": [{"role": r, "content": [{"text": t} for t in texts]} for r, texts in messages],
    }

    row = parse_row(json.dumps(line).encode())

    turns = (
        TrainingTurn(role="user", text="a\nb"),
        TrainingTurn(role="assistant", text="c"),
        TrainingTurn(role="user", text="d"),
    )
    assert row == TrainingRow(asked=TrainingPrompt(system="", turns=turns), answer="e")


def test_reads_a_pair() -> None:
    """A prompt-completion line asks one question without a system prompt."""
    assert parse_row(pair("Play.", "s").encode()) == TrainingRow(asked=asking("Play."), answer="s")


def _turns(*roles: str) -> str:
    messages = [{"role": role, "content": [{"text": "x"}]} for role in roles]
    return json.dumps({"schemaVersion": "bedrock-conversation-2024", "messages": messages})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", ""),
        ("[]", "object"),
        ('{"prompt": "x"}', "completion"),
        ('{"prompt": "x", "completion": " "}', message("general/answer-is-empty")),
        ('{"schemaVersion": "v0"}', "v0"),
        (_turns("user"), "messages"),
        (_turns("user", "user"), message("training/message-is-user", number=2)),
        (_turns("assistant", "user"), message("training/message-is-assistant", number=1)),
        (_turns("user", "assistant", "user"), message("training/last-message-is-user")),
        (_turns("user", "system"), "system"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path: Path, line: str, message: str) -> None:
    """A row in neither layout is refused with file, line, cause and what to do."""
    path = tmp_path / "rows.jsonl"
    path.write_text(f"{pair('a', 'b')}\n\n{line}\n")

    with pytest.raises(
        DataError, match=rf"{re.escape(str(path))}:3: .*{re.escape(message)}.*delete this line"
    ):
        read_rows(path)


def test_refuses_an_empty_file(tmp_path: Path) -> None:
    """A file of blank lines has no rows to train on."""
    path = tmp_path / "rows.jsonl"
    path.write_text("\n \n")

    with pytest.raises(DataError, match=matching("training/file-holds-no-rows")):
        read_rows(path)


def test_refuses_a_missing_file(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(DataError, match=r"gone\.jsonl: " + matching("training/there-is-no-such-file")):
        read_rows(tmp_path / "gone.jsonl")
