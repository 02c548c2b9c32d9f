"""`cld config show|check`: the configuration that holds."""

from __future__ import annotations

import typer

from agent.cli import console, views
from agent.cli.place import Json, Set, here

__all__ = ["group"]


def group() -> typer.Typer:
    """The commands below `cld config`."""
    app = typer.Typer(help="The configuration that holds.", no_args_is_help=True)
    app.command()(show)
    app.command()(check)
    return app


def show(context: typer.Context, overrides: Set = None, as_json: Json = False) -> None:
    """Show every key with the value that holds: cld.toml, then the environment, then --set."""
    from agent.root import settings

    place = here(context)
    place.flags = settings.parse_flags(overrides or [])
    values = settings.show(place.config)
    console.json_read(config=values) if as_json else views.config(values)


def check(context: typer.Context, overrides: Set = None, as_json: Json = False) -> None:
    """Check the configuration; exit code 78 and all that is wrong if anything is."""
    from agent.root import settings

    place = here(context)
    place.flags = settings.parse_flags(overrides or [])
    settings.show(place.config)
    message = f"{place.layout.config_file} is right"
    console.json_read(ok=True, file=str(place.layout.config_file)) if as_json else console.say(message)
