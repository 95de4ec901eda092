"""`python -m bench`: measure, and keep the results under bench/results/."""

import click

from bench import backbone as backbone_bench
from bench import cleanup as cleanup_bench
from bench import embedded as embedded_bench
from bench import harness


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure Steward beside peers doing the same work; without a command, everything."""
    if context.invoked_subcommand is None:
        for command in (backbone, cleanup, embedded):
            context.invoke(command)


@main.command()
@click.option("--events", default=100_000, show_default=True, help="Events committed beforehand.")
@click.option("--rate", default=200, show_default=True, help="Events per second while latency is measured.")
@click.option("--seconds", default=20, show_default=True, help="How long latency is measured.")
def backbone(events: int, rate: int, seconds: int) -> None:
    """Outbox -> RabbitMQ -> inbox -> effect on PostgreSQL, beside a hand-written pipeline."""
    harness.keep("backbone", backbone_bench.run(events, rate, seconds))


@main.command()
@click.option("--sizes", default="50000,100000,200000", show_default=True, help="Users of each run on real servers.")
@click.option("--in-process", default=200_000, show_default=True, help="Users of the run in the embedded process.")
def cleanup(sizes: str, in_process: int) -> None:
    """Trigger to report with one event per user, beside the row-by-row loop that tells nobody."""
    harness.keep("cleanup", cleanup_bench.run(tuple(int(size) for size in sizes.split(",")), in_process))


@main.command()
@click.option("--users", default=100_000, show_default=True, help="Users of the file that is imported.")
def embedded(users: int) -> None:
    """Start, idle cost and import of the embedded process."""
    harness.keep("embedded", embedded_bench.run(users))


if __name__ == "__main__":
    main(prog_name="python -m bench")
