"""`polytune model compare`: asks two models the same questions, and shows answers and figures side by side.

The questions are a file of prompts, one per line: plain text, or JSON of any layout that contains a prompt.

A solo techno beat                                    text
"A solo techno beat"                                  a JSON string
{"prompt": "...", "system": "..."}                    also question, instruction, input
{"messages": [...]}                                   a training row, with or without its answer
"""

from __future__ import annotations

import shutil
import statistics
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli._table import table
from polytune.cli.model._target import Asked, Asking, inference_of, inference_options
from polytune.data.lines import blocks
from polytune.data.reading import BadRow, prompt_keys, row_of
from polytune.errors import DataError, ExitCode, PolytuneError
from polytune.platforms.interface import Question
from polytune.platforms.management import MeasuredAnswer

at_once = 4
"""Questions in flight together; low, because custom models allow only a few requests per minute."""
gap = "  |  "


class ModelReply(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answer, or the reason why there is none."""

    answer: MeasuredAnswer | None = None
    failure: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One question and both replies."""

    line: int
    prompt: str
    system: str
    base: ModelReply
    custom: ModelReply


@click.command("compare")
@click.argument("base")
@click.argument("custom")
@click.option(
    "--prompts",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="One prompt a line: plain text, or JSON (a string, a prompt, messages, a training row).",
)
@click.option("--system", metavar="TEXT", help="Default: the row's, else the run's model's, for both models.")
@inference_options
@platforms.platform_options
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    /,
    base: str,
    custom: str,
    prompts: Path,
    as_json: bool,
    choice: PlatformChoice,
    **flags: Any,
) -> None:
    """Ask BASE and CUSTOM every prompt of a file.

    Both are named as in `polytune model test`. Exits with 1 when an answer is missing.
    """
    opened = choice.opened()
    asking = Asking(opened, choice.managements(opened), inference_of(flags))
    rows = read_prompts(prompts)
    pair = (asking.model(base), asking.model(custom))
    # Both models get the custom model's system prompt: a fair comparison differs in the model only.
    trained_with = next((asked.system for asked in reversed(pair) if asked.system), "")
    stated = flags["system"]
    questions = [
        Question(system=(row.system or trained_with) if stated is None else stated, prompt=row.prompt)
        for row in rows
    ]
    # One model after the other: together they would slow each other down, and their times are compared.
    replies = [_replies(asked, questions) for asked in pair]
    compared = [
        Compared(line=row.line, prompt=question.prompt, system=question.system, base=left, custom=right)
        for row, question, left, right in zip(rows, questions, *replies, strict=True)
    ]
    if as_json:
        click.echo(msgspec.json.encode({"base": base, "custom": custom, "rows": compared}))
    else:
        click.echo("\n".join(_lines(base, custom, compared)))
    failed = any(each.base.failure or each.custom.failure for each in compared)
    ctx.exit(ExitCode.FAILED if failed else ExitCode.DONE)


def _replies(asked: Asked, questions: Sequence[Question]) -> list[ModelReply]:
    def reply(question: Question) -> ModelReply:
        try:
            return ModelReply(answer=asked.client.ask(question))
        except PolytuneError as failure:
            # One failed question must not lose the answers that were paid for.
            return ModelReply(failure=str(failure))

    with ThreadPoolExecutor(at_once) as threads:
        return list(threads.map(reply, questions))


def _lines(base: str, custom: str, compared: Sequence[Compared]) -> Iterator[str]:
    width = max(24, (shutil.get_terminal_size((120, 40)).columns - len(gap)) // 2)
    for each in compared:
        yield f"{each.line}. {textwrap.shorten(each.prompt, 2 * width, placeholder=' ...')}"
        yield from _beside(_wrapped(base, each.base, width), _wrapped(custom, each.custom, width), width)
        yield ""
    yield from table(
        [["", "answers", "tokens in", "tokens out", "median s", "usd"], *_sums(base, custom, compared)]
    )


def _beside(left: Sequence[str], right: Sequence[str], width: int) -> Iterator[str]:
    for one, other in zip_longest(left, right, fillvalue=""):
        yield f"{one:<{width}}{gap}{other}".rstrip()


def _wrapped(name: str, reply: ModelReply, width: int) -> list[str]:
    text = reply.answer.text if reply.answer else f"no answer: {reply.failure}"
    lines = [textwrap.shorten(name, width, placeholder="..."), _figures(reply)]
    for line in text.splitlines() or [""]:
        lines += textwrap.wrap(line, width) or [""]
    return lines


def _figures(reply: ModelReply) -> str:
    if reply.answer is None:
        return "-"
    answer = reply.answer
    return f"{answer.seconds:.2f} s, {answer.input_tokens} in, {answer.output_tokens} out"


def _sums(base: str, custom: str, compared: Sequence[Compared]) -> Iterator[list[str]]:
    for name, replies in ((base, [c.base for c in compared]), (custom, [c.custom for c in compared])):
        answers = [reply.answer for reply in replies if reply.answer]
        prices = [answer.usd for answer in answers]
        known = [price for price in prices if price is not None]
        yield [
            name,
            f"{len(answers)}/{len(replies)}",
            f"{sum(answer.input_tokens for answer in answers):,}",
            f"{sum(answer.output_tokens for answer in answers):,}",
            f"{statistics.median(answer.seconds for answer in answers):.2f}" if answers else "-",
            f"{sum(known):.6f}" if answers and len(known) == len(prices) else "unknown",
        ]


class FilePrompt(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the file."""

    line: int
    system: str
    """'' when the line has none."""
    prompt: str


def read_prompts(path: Path) -> list[FilePrompt]:
    """The prompts of the file, without blank lines. Raises DataError with the line number of a bad line."""
    lines = ((block.first + place, line) for block in blocks(path) for place, line in enumerate(block.lines))
    found = [_prompt(path, number, line.strip()) for number, line in lines if line.strip()]
    if not found:
        raise DataError(f"{path}: has no prompts")
    return found


def _prompt(path: Path, number: int, line: bytes) -> FilePrompt:
    # Only these two start JSON here: a plain prompt may well begin with a bracket or a digit.
    if line[:1] not in (b'"', b"{"):
        return FilePrompt(line=number, system="", prompt=_decoded(path, number, line))
    try:
        value = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        raise DataError(f"{path}:{number}: not JSON: {error}") from error
    if isinstance(value, str):
        return FilePrompt(line=number, system="", prompt=value)
    row = row_of(line, number)
    if not isinstance(row, BadRow):
        return FilePrompt(line=number, system=row.system, prompt=row.prompt)
    return _asked_only(path, number, value, row)


def _decoded(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number}: byte {error.start + 1} is not UTF-8") from error


def _asked_only(path: Path, number: int, value: Mapping[str, Any], row: BadRow) -> FilePrompt:
    """Read a line without an answer; with a placeholder answer, it is read like any training row."""
    # One reader knows all layouts, but reads whole rows only; a placeholder answer avoids a second reader.
    messages = value.get("messages")
    if isinstance(messages, list) and messages:
        content = [{"text": "-"}] if isinstance(messages[-1].get("content"), list) else "-"
        whole = {**value, "messages": [*messages, {"role": "assistant", "content": content}]}
    elif any(isinstance(value.get(key), str) for key in prompt_keys):
        whole = {**value, "completion": "-"}
    else:
        raise DataError(f"{path}:{number}: {row.path or 'the line'}: {row.reason}. {row.fix}")
    read = row_of(msgspec.json.encode(whole), number)
    if isinstance(read, BadRow):
        raise DataError(f"{path}:{number}: {read.path or 'the line'}: {read.reason}. {read.fix}")
    return FilePrompt(line=number, system=read.system, prompt=read.prompt)
