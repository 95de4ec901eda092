"""Commands for whoever changes a contract."""

import sys
from pathlib import Path

import click

from event_contracts import docs, published


@click.group()
def main() -> None:
    """Look after the published event contracts.

    Whoever adds a contract puts it in the catalogue, writes its golden sample, and runs `publish`, then `docs`.
    """


@main.command("docs")
@click.option("--check", is_flag=True, help="Write nothing; fail if a page is stale.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("docs/events"),
    show_default=True,
    help="The folder of the pages.",
)
def generate_docs(out: Path, *, check: bool) -> None:
    """Generate the event catalogue and the AsyncAPI document."""
    if not check:
        docs.write(out)
    elif stale := docs.stale(out):
        click.echo(
            f"Stale in {out.as_posix()}: {', '.join(stale)}. Run: {docs.COMMAND} --out {out.as_posix()}", err=True
        )
        sys.exit(1)


@main.command("publish")
def publish() -> None:
    """Record new contracts, fields and golden samples; from then on they may not change."""
    try:
        published.publish()
    except published.Breach as breach:
        raise click.ClickException(str(breach)) from breach


if __name__ == "__main__":
    main(prog_name="python -m event_contracts")
