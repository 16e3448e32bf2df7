"""The command line of what the ledgers say in figures: `loopgate metrics`."""

from typing import Annotated

import typer

from gateway.terminal import Json, Tenant, print_json, print_words, with_parts


def metrics(
    loop: Annotated[str | None, typer.Argument(help="Only this loop.")] = None,
    limit: Annotated[
        int, typer.Option(min=1, max=100_000, help="Open and closed instances that are read, the latest first.")
    ] = 1_000,
    tenant: Tenant = "default",
    as_json: Json = False,
) -> None:
    """Show what the ledgers say about each loop: how many, how long, who decided, what guards stopped."""
    from gateway.auditing.measuring import measure
    from gateway.auditing.words import metrics_words

    found = with_parts(lambda parts: measure(parts.store, tenant, loop_id=loop, limit=limit))
    if as_json:
        print_json(
            {
                "loops": [each.as_json() for each in found.loops],
                "ledgers": found.ledgers,
                "more": found.more,
                "unreadable": list(found.unreadable),
            }
        )
    else:
        print_words(metrics_words(found))
