"""`python -m task_service`."""

from service_chassis.cli import command_line
from task_service.bootstrap import COMMANDS, bootstrap

main = command_line(bootstrap, "Tasks with deadlines, and what follows when they are missed.", COMMANDS)

if __name__ == "__main__":
    main(prog_name="python -m task_service")
