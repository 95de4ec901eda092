"""`python -m cleanup_service`."""

from cleanup_service.bootstrap import COMMANDS, bootstrap
from service_chassis.cli import command_line

main = command_line(bootstrap, "Inactive users are found, planned, deactivated and reported.", COMMANDS)

if __name__ == "__main__":
    main(prog_name="python -m cleanup_service")
