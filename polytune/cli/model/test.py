"""`polytune model test`: one question, the answer as it comes, and what it took."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from polytune.cli import _account as account
from polytune.cli import options
from polytune.cli.model._target import Asked, Asking, inference_of, inference_options
from polytune.platforms.bedrock.converse import Answer
from polytune.platforms.interface import Question
from polytune.wiring import Desk


@click.command("test")
@click.argument("model")
@click.option("--prompt", required=True, metavar="TEXT", help="What to ask; - reads standard input.")
@click.option("--system", metavar="TEXT", help="Default: what the run's model was trained with, else none.")
@inference_options
@account.region_option
@options.workspace
@options.as_json
def command(
    model: str,
    prompt: str,
    system: str | None,
    region: str | None,
    workspace: Path | None,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Ask a MODEL one question.

    MODEL is a base model (nova-lite, or its id), an ARN, the name of a deployment or model, a run's id or an
    experiment, whose custom model is then asked.
    """
    asked = Asking(Desk.open(None, workspace), region, inference_of(drawn)).model(model)
    text = sys.stdin.read() if prompt == "-" else prompt
    question = Question(system=asked.system if system is None else system, prompt=text)
    if as_json:
        click.echo(msgspec.json.encode(asked.speaker.ask(question)))
    else:
        _told(asked, question)


def _told(asked: Asked, question: Question) -> None:
    for piece in asked.speaker.stream(question):
        if isinstance(piece, Answer):
            click.echo()
            click.echo(figures(piece), err=True)
        else:
            click.echo(piece, nl=False)
            sys.stdout.flush()


def figures(answer: Answer) -> str:
    """`12 tokens in, 80 out   1.4 s, first after 0.3 s   $0.0002`"""
    first = f", first after {answer.first_seconds:.1f} s" if answer.first_seconds is not None else ""
    price = f"   ${answer.usd:.6f}" if answer.usd else ""
    ended = "   cut off by --max-tokens" if answer.stop_reason == "max_tokens" else ""
    counts = f"{answer.input_tokens} tokens in, {answer.output_tokens} out"
    return f"{counts}   {answer.seconds:.1f} s{first}{price}{ended}"
