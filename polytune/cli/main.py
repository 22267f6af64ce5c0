"""The entry point: finds the command, turns each error into one message and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from polytune import __version__
from polytune.cli._streams import keep_streams
from polytune.errors import ExitCode, PolytuneError, SpecError, UsageError, did_you_mean

summaries = {
    "run": "Run an experiment; steps that are already done are skipped.",
    "plan": "Show what a run would do, why, and what it would cost.",
    "preview": "Show a few samples at every stage before paying for many.",
    "why": "Explain one step: its cache key, and what changed since the closest earlier run.",
    "resume": "Continue the last unfinished run, or a given one.",
    "status": "Show the status of a run.",
    "ls": "List runs.",
    "show": "Show a run, or one of its steps.",
    "diff": "Compare two runs, experiments or files.",
    "validate": "Check data files against a base model's rules.",
    "schema": "Print the JSON Schema of experiment files.",
    "gc": "Delete data that no kept run needs.",
    "ledger": "Create, check, rebuild or locate the ledger.",
    "job": "List, watch and stop jobs, local or in the cloud.",
    "model": "List, inspect, query, export and delete models.",
    "deploy": "Deploy a custom model, optionally for a limited time.",
    "undeploy": "Delete a deployment; its model is kept.",
    "reap": "Delete expired deployments, and list orphaned ones.",
    "doctor": "Check for problems that would stop a run; changes nothing.",
    "iam": "Print the minimal IAM policies for one experiment.",
    "dataset": "Convert, check and upload data files.",
    "emulator": "Serve a local stand-in for Amazon Bedrock.",
    "data": "Inspect, check and clean the rows of any JSONL file.",
    "grader": "Build a grader's local dependencies.",
    "init": "Create a new project.",
    "completion": "Print a shell completion script.",
}
"""One file or folder here per command; the summaries are here so that --help imports none of them."""


class Commands(click.Group):
    """Imports a command's module only when the command is called, which keeps startup fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order in which a new user needs them."""
        return list(summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; None when there is none."""
        if cmd_name not in summaries:
            return None
        module = importlib.import_module(f"polytune.cli.{cmd_name}")
        # A group is a folder; its summaries are in a small module, so that its --help stays fast too.
        if hasattr(module, "__path__"):
            module = importlib.import_module(f"polytune.cli.{cmd_name}.group")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command to call. Raises UsageError with the closest name for an unknown one."""
        if args and args[0] not in summaries and not args[0].startswith("-"):
            raise UsageError(f"no command '{args[0]}'.{did_you_mean(args[0], list(summaries))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(summaries.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), code.meaning) for code in ExitCode])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="polytune")
def cli() -> None:
    """Fine-tune language models from one YAML file, and pay for nothing twice."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and exit with one of `ExitCode`."""
    code: int
    keep_streams()
    try:
        code = cli.main(args=arguments, prog_name="polytune", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        click.echo("interrupted", err=True)
        code = ExitCode.INTERRUPTED
    except PolytuneError as error:
        code = _told(error)
    except OSError as error:
        click.echo(f"{error.filename or 'polytune'}: {(error.strerror or str(error)).lower()}", err=True)
        code = ExitCode.FAILED
    except Exception as error:
        # Deliberate failures are PolytuneErrors, so anything else is our bug, not the user's mistake.
        if os.environ.get("POLYTUNE_TRACEBACK"):
            raise
        what = f"{type(error).__name__}: {error}"
        click.echo(f"bug in polytune: {what}. Set POLYTUNE_TRACEBACK=1 to see the traceback", err=True)
        code = ExitCode.FAILED
    sys.exit(int(code or ExitCode.DONE))


def _told(error: PolytuneError) -> ExitCode:
    click.echo(error, err=True)
    if isinstance(error, SpecError):
        count = len(error.problems)
        click.echo(f"{count} problem{'s' if count != 1 else ''}; nothing was run.", err=True)
    return error.exit_code


if __name__ == "__main__":
    main()
