"""Settings: typed values read from an environment mapping, every mistake reported at once.

A service's config.py builds one frozen dataclass:

    reader = Environment(env)
    settings = Settings(threshold=reader.days("INACTIVITY_THRESHOLD_DAYS", default=30), ...)
    reader.finish()
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

MINIMUM_SECRET_LENGTH = 32
MINIMUM_SECRET_VARIETY = 8
"""Different characters of a secret; any random one has more."""
KNOWN_PASSWORDS = frozenset({"guest", "postgres", "steward"})
DEMO_PASSWORDS = "demo-"
"""How the passwords begin that compose and the demo profile use."""
WIDEST_NETWORKS = {4: 8, 6: 16}
"""Shortest prefixes of networks that one may trust, by version: shorter ones hold addresses of strangers."""

Network = IPv4Network | IPv6Network

Number = TypeVar("Number", int, float)


class Profile(StrEnum):
    """A set of defaults: demo starts without configuration, production refuses to start unsafe."""

    DEMO = "demo"
    PRODUCTION = "production"


class SettingsError(Exception):
    """The environment does not configure the service; `problems` lists everything that is wrong."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("The settings are not valid:\n" + "\n".join(f"  - {problem}" for problem in problems))


class Environment:
    """Reads typed settings from a mapping; `finish` raises SettingsError with all that was wrong.

    After a mistake a reading method returns the default or an empty value, so that the remaining settings
    are still checked; nothing of it is used, because `finish` raises.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._read: set[str] = set()
        self.problems: list[str] = []
        self._named_by_secret: dict[str, str] = {}
        self.profile = self._profile()

    @property
    def demo(self) -> bool:
        return self.profile is Profile.DEMO

    def text(self, name: str, *, default: str | None = None) -> str:
        """Return a text; without a default it must be given."""
        value = self._given(name, "").strip() or default
        if value is None:
            self.problems.append(f"{name} is required.")
            return ""
        self._check_password_in(name, value)
        return value

    def optional(self, name: str) -> str | None:
        value = self._given(name, "").strip() or None
        self._check_password_in(name, value or "")
        return value

    def integer(self, name: str, *, default: int, minimum: int = 0, maximum: int | None = None) -> int:
        """Return a whole number within its bounds."""
        value = self._parsed(name, default, int, "a whole number")
        if value < minimum or (maximum is not None and value > maximum):
            bound = f"at least {minimum}" if maximum is None else f"between {minimum} and {maximum}"
            self.problems.append(f"{name} must be {bound}, not {value}.")
        return value

    def seconds(self, name: str, *, default: float, minimum: float = 0) -> timedelta:
        """Return a duration given in seconds."""
        value = self._parsed(name, default, _duration, "a number of seconds")
        if value < minimum:
            self.problems.append(f"{name} must be at least {minimum:g} seconds, not {value:g}.")
        return timedelta(seconds=value)

    def days(self, name: str, *, default: int, minimum: int = 0) -> timedelta:
        """Return a duration given in whole days."""
        return timedelta(days=self.integer(name, default=default, minimum=minimum, maximum=36_500))

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return true or false, in any of their usual spellings."""
        words = {
            "1": True,
            "true": True,
            "yes": True,
            "on": True,
            "0": False,
            "false": False,
            "no": False,
            "off": False,
        }
        value = self._given(name, "").strip().lower()
        if value and value not in words:
            self.problems.append(f"{name} must be true or false, not {value!r}.")
        return words.get(value, default)

    def choice(self, name: str, choices: tuple[str, ...], *, default: str) -> str:
        """Return one of a few words."""
        value = self.text(name, default=default)
        if value not in choices:
            self.problems.append(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
        return value

    def words(self, name: str, *, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the words of a comma-separated list."""
        if name not in self._env:
            return default
        return tuple(word.strip() for word in self._given(name).split(",") if word.strip())

    def trusted_networks(
        self, name: str, *, default: str = "", otherwise: str = "would let strangers say who they are"
    ) -> tuple[Network, ...]:
        """Return the networks of a comma-separated list; in production none may hold half the world, or else."""
        networks: list[Network] = []
        for word in filter(None, map(str.strip, self.text(name, default=default).split(","))):
            try:
                networks.append(ip_network(word))
            except ValueError:
                self.problems.append(f"{name} holds {word!r}, which is no network like 10.0.0.0/8.")
        wide = [str(each) for each in networks if each.prefixlen < WIDEST_NETWORKS[each.version]]
        self.refuse_in_production(name, when=bool(wide), because=f"{', '.join(wide)} {otherwise}.")
        return tuple(networks)

    def path(self, name: str, *, default: str) -> Path:
        return Path(self.text(name, default=default))

    def secret(self, name: str, *, demo: str) -> str:
        """Return a secret of at least 32 characters; the demo value serves the demo profile only."""
        value = self._given(name, "")
        if self.demo:
            return value or demo
        self._check_secret(name, value, demo)
        return value

    def secrets(self, name: str, *, demo: Mapping[str, str]) -> Mapping[str, str]:
        """Return the secrets of several, by their names, given as `name:secret,name:secret`; each is one as above."""
        pairs = [word.partition(":") for word in self.words(name)]
        found = {whose: secret for whose, _, secret in pairs if whose and secret}
        if len(found) < len(pairs):
            # The value is not shown, because it is made of secrets.
            self.problems.append(f"{name} must be a list of different names with a secret each, like name:secret.")
        if self.demo:
            return found or demo
        if not pairs:
            self.problems.append(f"{name} is required in production.")
        for whose, secret in found.items():
            self._check_secret(f"{name} ({whose})", secret, demo.get(whose, ""))
        return found

    def refuse_in_production(self, name: str, *, when: bool, because: str) -> None:
        """Note a setting that is fine in a demo and unsafe in production."""
        if when and not self.demo:
            self.problems.append(f"{name} is refused in production: {because}")

    def unread(self, *prefixes: str, of_others: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return what is set under these prefixes and was not read so far, which is called last.

        `of_others` are longer prefixes under which other processes read.
        """
        given = {name for name, value in self._env.items() if value.strip()}
        own = {name for name in given if name.startswith(prefixes) and not name.startswith(of_others)}
        return tuple(sorted(own - self._read))

    def finish(self) -> None:
        """Raise SettingsError if anything read so far was wrong."""
        if self.problems:
            raise SettingsError(self.problems)

    def _given(self, name: str, default: str = "") -> str:
        self._read.add(name)
        return self._env.get(name, default)

    def _check_secret(self, name: str, value: str, demo: str) -> None:
        if not value:
            self.problems.append(f"{name} is required in production.")
        elif value == demo:
            self.problems.append(f"{name} is the demo value, which everybody knows; production needs its own.")
        elif len(value) < MINIMUM_SECRET_LENGTH:
            self.problems.append(f"{name} must have at least {MINIMUM_SECRET_LENGTH} characters in production.")
        elif len(set(value)) < MINIMUM_SECRET_VARIETY:
            self.problems.append(f"{name} must have at least {MINIMUM_SECRET_VARIETY} different characters.")
        elif (other := self._named_by_secret.setdefault(value, name)) != name:
            self.problems.append(f"{name} is the same secret as {other}; each purpose needs its own.")

    def _check_password_in(self, name: str, value: str) -> None:
        if not name.endswith("_URL") or "@" not in value:
            return
        password = urlsplit(value).password or ""
        self.refuse_in_production(
            name,
            when=password in KNOWN_PASSWORDS or password.startswith(DEMO_PASSWORDS),
            because="it holds a password that everybody knows.",
        )

    def _profile(self) -> Profile:
        given = self._given("STEWARD_PROFILE", "").strip() or Profile.DEMO
        try:
            return Profile(given)
        except ValueError:
            self.problems.append(f"STEWARD_PROFILE must be demo or production, not {given!r}.")
            return Profile.PRODUCTION

    def _parsed(self, name: str, default: Number, parse: Callable[[str], Number], expected: str) -> Number:
        given = self._given(name, "").strip()
        if not given:
            return default
        try:
            return parse(given)
        except (ValueError, OverflowError):
            self.problems.append(f"{name} must be {expected}, not {given!r}.")
            return default


def _duration(given: str) -> float:
    """Return a number of seconds that is a duration; raises ValueError or OverflowError for what is not."""
    return timedelta(seconds=float(given)).total_seconds()
