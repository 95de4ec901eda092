"""The installed programs of a server, or the way to get them."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from service_chassis.testing.servers import packages
from service_chassis.testing.servers.process import ServerError

SYSTEM_FOLDERS = ("/usr/sbin", "/usr/local/sbin")
"""Where servers live that are not on the PATH of everybody."""


@dataclass(frozen=True)
class Software:
    name: str
    program: str
    package: str
    folders: tuple[str, ...] = ()
    """Patterns of the folders distributions keep the program in, away from PATH."""

    def folder(self) -> Path | None:
        """Return the folder of the installed programs, the newest version's if there are several."""
        for pattern in self.folders:
            for folder in sorted(Path("/").glob(pattern.removeprefix("/")), key=_version, reverse=True):
                if (folder / self.program).exists():
                    return folder
        found = shutil.which(self.program) or shutil.which(self.program, path=":".join(SYSTEM_FOLDERS))
        return Path(found).parent if found else None

    def require(self) -> Path:
        """Return the folder of the programs, installing them if this is a system we know how to install on."""
        found = self.folder()
        if found is None and packages.can_install():
            packages.install([self.package], because=f"{self.name} is not installed")
            found = self.folder()
        if found is None:
            raise ServerError(f"{self.name} is not installed. {self.advice}")
        return found

    @property
    def advice(self) -> str:
        return f"Install {self.name} so that {self.program} is found (Debian, Ubuntu: apt-get install {self.package})."


def _version(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(folder))]
