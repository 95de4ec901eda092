"""`python -m user_service`."""

from service_chassis.cli import command_line
from user_service.bootstrap import COMMANDS, bootstrap

main = command_line(bootstrap, "Identity, sessions and accounts.", COMMANDS)

if __name__ == "__main__":
    main(prog_name="python -m user_service")
