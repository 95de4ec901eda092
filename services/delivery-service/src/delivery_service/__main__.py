"""`python -m delivery_service`."""

from delivery_service.bootstrap import COMMANDS, bootstrap
from service_chassis.cli import command_line

main = command_line(bootstrap, "Mails to people, and whether they arrived.", COMMANDS)

if __name__ == "__main__":
    main(prog_name="python -m delivery_service")
