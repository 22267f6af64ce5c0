"""`polytune completion SHELL`: a script for completing polytune's commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

variable = "_POLYTUNE_COMPLETE"
"""click's default name: the completion script sets it when it calls the program."""


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    bash   eval "$(polytune completion bash)"     in ~/.bashrc
    zsh    eval "$(polytune completion zsh)"      in ~/.zshrc
    fish   polytune completion fish | source      in ~/.config/fish/config.fish
    """
    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "polytune", variable).source())
