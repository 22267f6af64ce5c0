"""`polytune model compare`: two models, the same questions, answers and figures side by side."""

from __future__ import annotations

import shutil
import statistics
import textwrap
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli._table import table
from polytune.cli.model._prompts import read_prompts
from polytune.cli.model._target import Asked, Asking, inference_of, inference_options
from polytune.errors import PolytuneError
from polytune.platforms.bedrock.converse import Answer
from polytune.platforms.interface import Question
from polytune.wiring import Desk

at_once = 4
"""Questions on their way together, so that a custom model's few requests a minute are not used up at once."""
gap = "  |  "


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One model's answer, or why there is none."""

    answer: Answer | None = None
    failure: str = ""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One question and both replies."""

    line: int
    prompt: str
    system: str
    base: Reply
    custom: Reply


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
@account.region_option
@options.workspace
@options.as_json
@click.pass_context
def command(ctx: click.Context, /, base: str, custom: str, prompts: Path, as_json: bool, **said: Any) -> None:
    """Ask BASE and CUSTOM every prompt of a file.

    Both are named as in `polytune model test`. Exits with 1 when an answer is missing.
    """
    asking = Asking(Desk.open(None, said["workspace"]), said["region"], inference_of(said))
    rows = read_prompts(prompts)
    pair = (asking.model(base), asking.model(custom))
    trained_with = next((asked.system for asked in reversed(pair) if asked.system), "")
    stated = said["system"]
    questions = [
        Question(system=(row.system or trained_with) if stated is None else stated, prompt=row.prompt)
        for row in rows
    ]
    replies = [_replies(asked, questions) for asked in pair]
    compared = [
        Compared(line=row.line, prompt=question.prompt, system=question.system, base=left, custom=right)
        for row, question, left, right in zip(rows, questions, *replies, strict=True)
    ]
    if as_json:
        click.echo(msgspec.json.encode({"base": base, "custom": custom, "rows": compared}))
    else:
        click.echo("\n".join(_lines(base, custom, compared)))
    ctx.exit(1 if any(each.base.failure or each.custom.failure for each in compared) else 0)


def _replies(asked: Asked, questions: Sequence[Question]) -> list[Reply]:
    def reply(question: Question) -> Reply:
        try:
            return Reply(answer=asked.speaker.ask(question))
        except PolytuneError as failure:
            return Reply(failure=str(failure))

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


def _wrapped(name: str, reply: Reply, width: int) -> list[str]:
    text = reply.answer.text if reply.answer else f"no answer: {reply.failure}"
    lines = [textwrap.shorten(name, width, placeholder="..."), _figures(reply)]
    for line in text.splitlines() or [""]:
        lines += textwrap.wrap(line, width) or [""]
    return lines


def _figures(reply: Reply) -> str:
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
