"""`polytune emulator`: emulates an AWS account on this machine until it is interrupted."""

from __future__ import annotations

import json
import shlex
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import click

from polytune.emulator.bedrock.clock import VirtualClock
from polytune.emulator.bedrock.program import Emulator
from polytune.emulator.bedrock.rehearsal import Rehearsal
from polytune.emulator.bedrock.world import World
from polytune.emulator.polychat.server import PolychatStandIn

account_of_itself = "no S3 beside it: every dataset counts as valid, and no metrics are written"


@click.command("emulator")
@click.option("--port", type=int, default=0, help="Where Bedrock listens; a free port by default.")
@click.option("--region", default="us-east-1", show_default=True, help="Of the bucket that is prepared.")
@click.option(
    "--speed",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Virtual seconds per real second; 0 moves time only when told to.",
)
@click.option("--no-s3", is_flag=True, help="Only Bedrock: no S3, IAM, STS and Lambda beside it.")
@click.option("--polychat", is_flag=True, help="A stand-in of the Polychat API as well.")
@click.option("--json", "as_json", is_flag=True, help="Print the variables as one JSON object.")
def command(port: int, region: str, speed: float, no_s3: bool, polychat: bool, as_json: bool) -> None:
    """Serve a local stand-in for Amazon Bedrock.

    Prints the environment variables that point polytune and any AWS SDK at it, and serves until it is
    interrupted. Jobs, models and deployments behave as in Bedrock, on a virtual clock; no model is trained
    and every loss is synthetic. S3, IAM, STS and Lambda are provided by moto (extra `rehearsal`).
    """
    with ExitStack() as open_servers:
        variables = open_servers.enter_context(_bedrock(port, region, speed, no_s3=no_s3))
        if polychat:
            variables |= open_servers.enter_context(_polychat())
        click.echo(json.dumps(variables) if as_json else _exports(variables))
        click.echo(f"polytune emulator at {variables['AWS_ENDPOINT_URL_BEDROCK']}", err=True)
        click.echo("no model is trained here; losses are synthetic", err=True)
        if no_s3:
            click.echo(account_of_itself, err=True)
        _wait()


@contextmanager
def _bedrock(port: int, region: str, speed: float, *, no_s3: bool) -> Iterator[dict[str, str]]:
    """Serve Bedrock, and yield the environment variables for it."""
    if not no_s3:
        rehearsal = Rehearsal(region, speed)
        with rehearsal.serving(port):
            yield rehearsal.environment()
        return
    # Without S3 there is nothing to read datasets from or to write metrics to.
    world = World(VirtualClock(speed=speed))
    with Emulator(world).serving(port) as emulator:
        yield {
            "AWS_ENDPOINT_URL_BEDROCK": emulator.address,
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": emulator.address,
            "AWS_DEFAULT_REGION": region,
            "POLYTUNE_CLOCK_URL": emulator.control,
        }


@contextmanager
def _polychat() -> Iterator[dict[str, str]]:
    """Serve the stand-in for the Polychat API, and yield its environment variable."""
    stand_in = PolychatStandIn()
    stand_in.start(0)
    try:
        yield {"POLYTUNE_POLYCHAT_URL": stand_in.address}
    finally:
        stand_in.stop()


def _exports(variables: dict[str, str]) -> str:
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())


def _wait() -> None:
    """Wait for SIGINT or SIGTERM."""
    # Both raise KeyboardInterrupt, so that the servers' context managers close them.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
