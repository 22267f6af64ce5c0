"""Reads any JSONL file of training data as typed rows, in one streaming pass, whatever each line's layout.

    {"messages": [...]}                        Bedrock conversations, OpenAI chat, Anthropic messages
    {"prompt": "...", "completion": "..."}     and question/answer, instruction/output, input/response ...
    {"id": ..., "cell": ..., "answer": ...}    polytune's samples.jsonl
    {"text": "..."}                            plain text, as for continued pre-training

msgspec decodes each line once into the few keys that any layout may have; other keys are skipped. The last
assistant turn is the answer; everything before it except the system prompt is the prompt. A line that fits no
layout is a `BadRow` with its JSON path and the reason. Lines are not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import msgspec

from polytune.data.hashes import bare
from polytune.data.lines import LineBlock, blocks
from polytune.formats.interface import Conversation, Passage, Turn, byte_order_mark, unreadable

Layout = Literal[
    "bedrock-conversation-2024",
    "prompt-completion",
    "openai-chat",
    "anthropic-messages",
    "polytune-samples",
    "prompt-answer",
    "text",
]
Speaker = Literal["system", "user", "assistant"]
prompt_keys = ("prompt", "question", "instruction", "input", "query")
answer_keys = ("completion", "answer", "response", "output", "target", "chosen", "reference_answer")
between_texts = "\n\n"


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One readable line."""

    line: int
    """Counted from 1."""
    id: str
    """The id that the row states; '' when it states none."""
    layout: Layout
    system: str
    prompt: str
    """All texts before the answer except the system prompt; '' for plain text."""
    asked: str
    """The user's last text before the answer; '' when there is none."""
    answer: str
    answer_path: str
    """The answer's JSON path."""
    passages: tuple[Passage, ...]
    """Every text with its JSON path, in the order of the row."""
    other: bool
    """Whether it has content other than text: images, tool calls."""
    finish: str
    """Why the teacher stopped, such as 'length' or 'max_tokens'; '' when the row does not say."""
    score: float | None
    """A grader's or user's rating, higher is better; None when the row has none."""
    teacher: str
    """Who wrote the answer; '' when the row does not say."""
    cell: bytes
    """The matrix cell of a sample, as JSON; b'' when there is none."""

    @property
    def key(self) -> str:
        """The id; without one, a name derived from prompt and answer, ignoring whitespace."""
        if self.id:
            return self.id
        return f"row-{sha256(bare(self.prompt) + bytes(1) + bare(self.answer)).hexdigest()[:12]}"


class BadRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line that is not a row."""

    line: int
    path: str
    """The place in the line, as a JSON path; '' for the whole line."""
    reason: str
    fix: str


def read_rows(path: Path) -> Iterator[Row | BadRow]:
    """Every line of a file, in order. Raises DataError when the file cannot be read."""
    for block in blocks(path):
        yield from rows_in(block)


def rows_in(block: LineBlock) -> list[Row | BadRow]:
    """Every line of a block, in order."""
    lines = block.lines
    if block.first == 1 and lines[0].startswith(byte_order_mark):
        lines = [lines[0].removeprefix(byte_order_mark), *lines[1:]]
    # One `try` for all lines is faster; only a block with a bad line is decoded again, line by line.
    decode = _decoder.decode
    try:
        decoded = [decode(line) for line in lines]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [row_of(line, number) for number, line in enumerate(lines, block.first)]
    return [_row(found, number) for number, found in enumerate(decoded, block.first)]


def row_of(content: bytes, line: int) -> Row | BadRow:
    """The row on one line, which comes without its newline."""
    try:
        return _row(_decoder.decode(content), line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        wrong = unreadable(content, line)
        if wrong is not None:
            return BadRow(line=line, path="", reason=wrong.message, fix=wrong.fix)
        return _wrong_shape(line, str(error))


def conversation_of_row(row: Row) -> Conversation:
    """The row's texts as turns; consecutive texts of one role are joined into one turn."""
    turns: list[Turn] = []
    for passage in row.passages:
        if passage.role == "system":
            continue
        if turns and turns[-1].role == passage.role:
            turns[-1] = Turn(passage.role, turns[-1].text + between_texts + passage.text)
        else:
            turns.append(Turn(passage.role, passage.text))
    return Conversation(row.system or None, tuple(turns))


class _RowBlock(msgspec.Struct, gc=False):
    text: str | None = None


class _RowMessage(msgspec.Struct, gc=False):
    role: str
    content: str | tuple[_RowBlock, ...] | None = None
    tool_calls: tuple[msgspec.Raw, ...] | None = None


class _TeacherLabel(msgspec.Struct, gc=False):
    label: str = ""
    kind: str = ""


_Stated = str | int | float | bool | list[Any] | dict[str, Any] | None


class _RowLine(msgspec.Struct, gc=False):
    """The keys of all layouts; each of them may be absent."""

    messages: tuple[_RowMessage, ...] | None = None
    system: str | tuple[_RowBlock, ...] | None = None
    schemaVersion: str | None = None
    prompt: str | tuple[_RowMessage, ...] | None = None
    question: str | None = None
    instruction: str | None = None
    input: str | tuple[_RowMessage, ...] | None = None
    query: str | None = None
    completion: _Stated = None
    answer: _Stated = None
    response: _Stated = None
    output: _Stated = None
    target: _Stated = None
    chosen: _Stated = None
    reference_answer: _Stated = None
    text: str | None = None
    id: str | int | None = None
    template: str | None = None
    cell: msgspec.Raw = msgspec.Raw(b"")
    teacher: str | _TeacherLabel | None = None
    model: str | None = None
    finish_reason: str | None = None
    stop_reason: str | None = None
    stopReason: str | None = None
    score: float | None = None
    rating: float | None = None


_decoder = msgspec.json.Decoder(_RowLine)
_encoder = msgspec.json.Encoder()
_place = re.compile(r" - at `\$(.*)`$")
_roles: dict[str, Speaker] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("assistant", "model", "ai", "gpt"), "assistant"),
    **dict.fromkeys(("user", "human", "tool", "function"), "user"),
}


class _NotARow(Exception):
    """Why a line of JSON is not a row."""

    def __init__(self, path: str, reason: str, fix: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.fix = fix


def _row(found: _RowLine, line: int) -> Row | BadRow:
    try:
        return _row_of(found, line)
    except _NotARow as refused:
        return BadRow(line=line, path=refused.path, reason=refused.reason, fix=refused.fix)


def _row_of(found: _RowLine, line: int) -> Row:
    passages: list[Passage] = []
    layout, other = _prompt_passages(found, passages)
    stated = found.messages is None or (not passages or passages[-1].role != "assistant")
    if stated:
        layout = _stated_answer(found, passages, layout, other=other)
    own = 1 if stated else _own_texts(found)
    answer, text = passages[-own], passages[-1].text
    if own > 1:
        text = between_texts.join([passage.text for passage in passages[-own:]])
    system = user = None
    asked = ""
    for passage in passages[:-own]:
        if passage.role == "system":
            system = passage.text if system is None else system + between_texts + passage.text
        else:
            user = passage.text if user is None else user + between_texts + passage.text
            asked = passage.text if passage.role == "user" else asked
    return Row(
        line=line,
        id=str(found.id) if found.id is not None else "",
        layout=layout,
        system=system or "",
        prompt=user or "",
        asked=asked,
        answer=text,
        answer_path=answer.field,
        passages=tuple(passages),
        other=other,
        finish=found.finish_reason or found.stop_reason or found.stopReason or "",
        score=found.score if found.score is not None else found.rating,
        teacher=_teacher(found),
        cell=bytes(found.cell),
    )


def _own_texts(found: _RowLine) -> int:
    """The number of texts in the last message of a conversation."""
    content = found.messages[-1].content if found.messages else None
    if not isinstance(content, tuple) or len(content) < 2:
        return 1
    return max(1, sum(block.text is not None for block in content))


def _prompt_passages(found: _RowLine, passages: list[Passage]) -> tuple[Layout, bool]:
    """The layout, and whether there is content besides text; adds the texts before a separate answer."""
    system, other = found.system, False
    if isinstance(system, str):
        if system:
            passages.append(Passage("system", "system", system))
    elif system is not None:
        other = _block_passages(system, "system", "system", passages)
    if found.messages is not None:
        other |= _turns(found.messages, "messages", passages)
        return _chat_layout(found), other
    for key in prompt_keys:
        stated = getattr(found, key)
        if isinstance(stated, str):
            if key != "input" or stated:
                passages.append(Passage(key, "user", stated))
        elif stated is not None:
            other |= _turns(stated, key, passages)
    return "prompt-answer", other


def _chat_layout(found: _RowLine) -> Layout:
    if found.schemaVersion is not None:
        return "bedrock-conversation-2024"
    blocks_within = any(message.content.__class__ is tuple for message in found.messages or ())
    if found.system is not None:
        return (
            "bedrock-conversation-2024"
            if found.system.__class__ is tuple and blocks_within
            else ("anthropic-messages")
        )
    return "anthropic-messages" if blocks_within and not _speaks_system(found) else "openai-chat"


def _speaks_system(found: _RowLine) -> bool:
    return any(message.role in ("system", "developer", "tool") for message in found.messages or ())


def _turns(messages: tuple[_RowMessage, ...], key: str, passages: list[Passage]) -> bool:
    """Whether there is content besides text; adds the texts to `passages`."""
    other = False
    for index, message in enumerate(messages):
        role = _roles.get(message.role)
        if role is None:
            what = f"expected user, assistant or system, found '{message.role}'"
            raise _NotARow(f"{key}[{index}].role", what, "Write one of those roles.")
        if message.tool_calls:
            other = True
            calls = b",".join(map(bytes, message.tool_calls)).decode()
            passages.append(Passage(f"{key}[{index}].tool_calls", role, f"[{calls}]"))
        content = message.content
        if isinstance(content, str):
            passages.append(Passage(_content_path(key, index), role, content))
        elif content is not None:
            other |= _block_passages(content, _content_path(key, index), role, passages)
    if other and messages[-1].content is not None and _roles[messages[-1].role] == "assistant":
        _say_something(messages, key, passages)
    return other


def _say_something(messages: tuple[_RowMessage, ...], key: str, passages: list[Passage]) -> None:
    """Adds an empty text for a last turn that has only tool use or images."""
    # Otherwise an earlier text would be taken for the answer.
    own = f"{key}[{len(messages) - 1}]."
    if not passages or not passages[-1].field.startswith(own):
        passages.append(Passage(_content_path(key, len(messages) - 1), "assistant", ""))


def _block_passages(
    content: tuple[_RowBlock, ...], path: str, role: Speaker, passages: list[Passage]
) -> bool:
    """Whether any block is not text; adds the texts to `passages`."""
    other = False
    for index, block in enumerate(content):
        if block.text is None:
            other = True
        else:
            passages.append(Passage(_block_path(path, index), role, block.text))
    return other


@lru_cache(maxsize=1024)
def _content_path(key: str, index: int) -> str:
    return f"{key}[{index}].content"


@lru_cache(maxsize=4096)
def _block_path(path: str, index: int) -> str:
    return f"{path}[{index}].text"


def _stated_answer(found: _RowLine, passages: list[Passage], layout: Layout, *, other: bool) -> Layout:
    """The layout; adds the answer that has a key of its own."""
    key = next((key for key in answer_keys if getattr(found, key) is not None), "")
    if key:
        asked = any(passage.role == "user" for passage in passages)
        if not asked and not other:
            known = ", ".join(prompt_keys)
            raise _NotARow("", f"'{key}' answers nothing: there is no prompt", f"Give one of {known}.")
        passages.append(Passage(key, "assistant", _written(getattr(found, key))))
        if found.messages is not None:
            return layout
        if key == "answer" and found.template is not None:
            return "polytune-samples"
        return "prompt-completion" if key == "completion" and found.prompt is not None else layout
    running = "text" if found.text is not None else "input" if _only_input(found) else ""
    if running:
        passages[:] = [Passage(running, "assistant", str(getattr(found, running)))]
        return "text"
    raise _unanswered(found, passages, other=other)


def _only_input(found: _RowLine) -> bool:
    """Whether the line is plain text in the layout of Bedrock's continued pre-training."""
    return isinstance(found.input, str) and found.prompt is None and found.instruction is None


def _unanswered(found: _RowLine, passages: list[Passage], *, other: bool) -> _NotARow:
    if found.messages is not None:
        if not found.messages:
            return _NotARow("messages", "there are no messages", "Give a user turn and an assistant turn.")
        last = len(found.messages) - 1
        if found.messages[last].role == "assistant":
            what = "the answer holds no text"
            return _NotARow(f"messages[{last}].content", what, "Write the answer's text, or drop the row.")
        what = f"the last turn is the {found.messages[last].role}'s: there is no answer"
        return _NotARow(f"messages[{last}].role", what, "End with the assistant's answer.")
    known = ", ".join(answer_keys)
    if passages or other:
        return _NotARow("", "the prompt has no answer", f"Give one of {known}.")
    return _NotARow("", "no key of any known layout", "Give messages, or a prompt and its completion.")


def _written(value: object) -> str:
    """An answer as text; one that is not a string as JSON."""
    return value if isinstance(value, str) else _encoder.encode(value).decode()


def _teacher(found: _RowLine) -> str:
    teacher = found.teacher
    if isinstance(teacher, _TeacherLabel):
        return teacher.label or teacher.kind
    return teacher or found.model or ""


def _wrong_shape(line: int, said: str) -> BadRow:
    """A bad row from msgspec's message: 'Expected `str`, got `int` - at `$.prompt`'."""
    place = _place.search(said)
    path = place.group(1).removeprefix(".") if place else ""
    reason = _place.sub("", said).replace("`", "'")
    if reason.startswith("Expected"):
        reason = f"e{reason[1:]}"
    return BadRow(line=line, path=path, reason=reason, fix="Write it as one of the known layouts has it.")
