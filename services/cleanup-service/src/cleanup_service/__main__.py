"""`python -m cleanup_service`."""

from cleanup_service.bootstrap import bootstrap
from service_chassis.cli import command_line
from service_chassis.snapshots.commands import compare, resync

main = command_line(bootstrap, "Inactive users are found, planned, deactivated and reported.", [resync, compare])

if __name__ == "__main__":
    main(prog_name="python -m cleanup_service")
