"""``framework completion``: the script that teaches a shell to complete this command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from framework.cli.paper import say

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), help="Which shell.")
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a completion script for a shell.

    \b
    bash  write it to ~/.local/share/bash-completion/completions/framework
    zsh   write it to a file _framework in a folder of $fpath
    fish  write it to ~/.config/fish/completions/framework.fish
    """
    kind = get_completion_class(shell)
    root = ctx.find_root()
    if kind is not None:
        name = root.info_name or "framework"
        say(kind(root.command, {}, name, f"_{name.upper()}_COMPLETE").source())
