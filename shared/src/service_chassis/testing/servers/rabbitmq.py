"""RabbitMQ: the broker tests share, and servers of the tests' own."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from service_chassis.testing.servers import amqp
from service_chassis.testing.servers.private import PrivateServer
from service_chassis.testing.servers.process import Guard, Process, free_port, listens
from service_chassis.testing.servers.software import Software

# The wrapper on Debian's PATH changes to the user rabbitmq and back to the machine's own data.
SOFTWARE = Software(
    "RabbitMQ", program="rabbitmq-server", package="rabbitmq-server", folders=("/usr/lib/rabbitmq/bin",)
)
EPMD_SECONDS = 10
EPMD = Software("Erlang", program="epmd", package="erlang-base", folders=("/usr/lib/erlang/erts-*/bin",))
USUAL_URL = "amqp://guest:guest@127.0.0.1:5672/"


@dataclass(frozen=True)
class RabbitMQ:
    """A broker tests share: what they declare there carries a prefix of theirs."""

    url: str


class PrivateRabbitMQ(PrivateServer):
    """A RabbitMQ node of its own, with an epmd of its own: it shares nothing with the machine's node.

    RabbitMQ 3.10 loses a quorum queue that was declared seconds before a kill: a test that kills declares, then
    restarts in order, then kills.
    """

    def __init__(self) -> None:
        super().__init__()
        self._node = f"steward-{secrets.token_hex(4)}@localhost"
        self._distribution_port = free_port(besides={self.port})
        self._epmd_port = free_port(besides={self.port, self._distribution_port})

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def _prepare(self, folder: Path, guard: Guard) -> None:
        SOFTWARE.require()
        cookie = folder / ".erlang.cookie"
        cookie.write_text(secrets.token_hex(20))
        cookie.chmod(0o400)
        (folder / "enabled_plugins").write_text("[].\n")
        (folder / "rabbitmq-env.conf").touch()
        (folder / "rabbitmq.conf").touch()
        # RabbitMQ would start a missing epmd itself, as a daemon that outlives it.
        command = [EPMD.require() / "epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1"]
        Process(command, folder, guard=guard).wait_for(lambda: listens(self._epmd_port), EPMD_SECONDS)

    def _launch(self, folder: Path, guard: Guard) -> Process:
        return Process([SOFTWARE.require() / "rabbitmq-server"], folder, guard=guard, env=self._env(folder))

    def _log_in(self) -> None:
        amqp.log_in(self.url)

    def _env(self, folder: Path) -> dict[str, str]:
        """Return all of its environment: nothing configured for the machine's own node must reach this one."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_FLAGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_NODENAME": self._node,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONF_ENV_FILE": str(folder / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(folder / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        }
