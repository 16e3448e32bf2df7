"""What every command shares: where it prints, the options all have, and how it comes to the gateway's parts."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.settings import Settings

#: Columns of output that goes to a file or a pipe, where nothing says how wide it may be.
_PIPE_WIDTH = 160

out = Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True)

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Tenant = Annotated[str, typer.Option(help="The tenant to look in.")]


def settings() -> "Settings":
    """Return what the environment says; a variable that does not fit is named, and ends the command."""
    from pydantic import ValidationError

    from gateway.settings import Settings

    try:
        return Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = f"LOOPGATE_{'_'.join(str(step) for step in problem['loc'])}".upper()
            say(f"{name}: {problem['msg']}")
        raise typer.Exit(1) from error


def with_parts(read: Any) -> Any:
    """Run *read* on the parts of the configured gateway."""
    from gateway.wiring.parts import open_parts
    from gateway.wiring.store import store_url

    async def run(url: str) -> Any:
        async with open_parts(settings(), url) as parts:
            return await read(parts)

    with store_url(settings()) as url:
        return asyncio.run(run(url))


def print_json(value: Any) -> None:
    """Print *value* for programs."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_words(words: "Iterable[Any]") -> None:
    """Print *words* for people: tables as they are, lines never broken."""
    for each in words:
        out.print(each, soft_wrap=isinstance(each, Text))


def fail(message: str, code: int = 1) -> NoReturn:
    """Say *message* and end the command with exit code *code*."""
    say(message)
    raise typer.Exit(code)


def say(message: str) -> None:
    """Tell the person at the terminal, as it is."""
    err.print(f"loopgate: {message}", highlight=False, markup=False, soft_wrap=True)
