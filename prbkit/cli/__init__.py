"""The ``prbkit`` command: click commands with late imports, so that ``--help`` is instant.

Plugins add their own commands (`prbkit_commands`). Exit codes: 0 done, 1 it failed, 2 wrong usage
or settings, 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from prbkit.cli.app import cli

__all__ = ["cli", "main"]


def main() -> None:
    """Run the command line; a `PrbError` becomes one clear line and an exit code."""
    from prbkit.errors import ConfigError, PrbError

    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except PrbError as error:
        click.echo(f"prbkit: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
