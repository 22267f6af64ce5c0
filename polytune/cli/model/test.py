"""`polytune model test`: asks one question, streams the answer, and shows tokens, time and price."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from polytune.cli import _platforms as platforms
from polytune.cli import options
from polytune.cli._platforms import PlatformChoice
from polytune.cli.model._target import Asked, Asking, inference_of, inference_options
from polytune.platforms.interface import Question
from polytune.platforms.management import MeasuredAnswer


@click.command("test")
@click.argument("model")
@click.option("--prompt", required=True, metavar="TEXT", help="What to ask; - reads standard input.")
@click.option("--system", metavar="TEXT", help="Default: what the run's model was trained with, else none.")
@inference_options
@platforms.platform_options
@options.as_json
def command(
    model: str,
    prompt: str,
    system: str | None,
    choice: PlatformChoice,
    as_json: bool,
    **drawn: Any,
) -> None:
    """Ask a MODEL one question.

    MODEL is a base model (nova-lite, or its id), an ARN, the name of a deployment or model, or a run's id or
    an experiment, which means its custom model.
    """
    opened = choice.opened()
    asking = Asking(opened, choice.managements(opened), inference_of(drawn))
    asked = asking.model(model)
    text = sys.stdin.read() if prompt == "-" else prompt
    question = Question(system=asked.system if system is None else system, prompt=text)
    if as_json:
        click.echo(msgspec.json.encode(asked.client.ask(question)))
    else:
        _show(asked, question)


def _show(asked: Asked, question: Question) -> None:
    for piece in asked.client.stream(question):
        if isinstance(piece, MeasuredAnswer):
            # Figures go to stderr, so that stdout is the answer alone.
            click.echo()
            click.echo(figures(piece), err=True)
        else:
            click.echo(piece, nl=False)
            sys.stdout.flush()


def figures(answer: MeasuredAnswer) -> str:
    """The figures as `12 tokens in, 80 out   1.4 s, first after 0.3 s   $0.000200`."""
    first = f", first after {answer.first_seconds:.1f} s" if answer.first_seconds is not None else ""
    price = f"   ${answer.usd:.6f}" if answer.usd else ""
    ended = "   cut off by --max-tokens" if answer.stop_reason == "max_tokens" else ""
    counts = f"{answer.input_tokens} tokens in, {answer.output_tokens} out"
    return f"{counts}   {answer.seconds:.1f} s{first}{price}{ended}"
