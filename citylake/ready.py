"""What commands make for readers after an act that changes what may be read, so that the first one does not wait.

The act stands whatever becomes of it. What is made, and of what, is `catalog.delivery.ahead`'s.
"""

from collections.abc import Callable, Iterable

import typer

from catalog.delivery.ahead import Ahead
from catalog.delivery.desk import Desk
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.settings import Settings


def make_ready(settings: Settings, register: Register, make: Callable[[Desk], Iterable[Ahead]]) -> None:
    """Make it, and tell what cannot be made."""
    try:
        for made in make(Desk(settings, register)):
            for finding in made.findings:
                typer.echo(finding.both(), err=True)
    except CitylakeError as problem:  # of contracts that cannot be read just now
        typer.echo(str(problem), err=True)
