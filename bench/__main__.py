"""`python -m bench`: measure, and keep the results under bench/results/."""

import click

from bench import backbone as backbone_bench
from bench import cleanup as cleanup_bench
from bench import embedded as embedded_bench
from bench import harness
from bench import identity as identity_bench
from bench import paging as paging_bench
from bench import tasks as tasks_bench


@click.group(invoke_without_command=True)
@click.pass_context
def main(context: click.Context) -> None:
    """Measure Steward beside peers doing the same work; without a command, everything."""
    if context.invoked_subcommand is None:
        for command in (backbone, cleanup, embedded, identity, paging, tasks):
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


@main.command()
@click.option("--users", default=1_000_000, show_default=True, help="Users in the list.")
@click.option("--page", default=10_000, show_default=True, help="The far page, of 100 users each.")
@click.option("--times", default=50, show_default=True, help="How often each page is asked for.")
def paging(users: int, page: int, times: int) -> None:
    """Page 1 of the users and a page far behind it, by cursor."""
    harness.keep("paging", paging_bench.run(users, page, times))


@main.command()
@click.option("--tasks", default=1_000_000, show_default=True, help="Tasks of the full sweep; a tenth is due.")
@click.option("--empty", default="100000,10000000", show_default=True, help="Tasks of sweeps that find nothing.")
@click.option("--lists", default="10000,1000000", show_default=True, help="Tasks of which lists are asked for.")
def tasks(tasks: int, empty: str, lists: str) -> None:
    """Sweep of overdue tasks on PostgreSQL, beside a loop that takes one row at a time; empty sweeps; lists."""
    sizes = (tuple(int(size) for size in given.split(",")) for given in (empty, lists))
    harness.keep("tasks", tasks_bench.run(tasks, *sizes))


@main.command()
@click.option("--pairs", default=500, show_default=True, help="Sign-ins at known and at unknown addresses each.")
@click.option("--seconds", default=10.0, show_default=True, help="How long each rate is measured in each round.")
def identity(pairs: int, seconds: float) -> None:
    """Sign-in beside bare argon2id, refresh and profile reads beside Django REST framework with simplejwt."""
    harness.keep("identity", identity_bench.run(pairs, seconds))


if __name__ == "__main__":
    main(prog_name="python -m bench")
