from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from service_chassis.settings import Environment, Profile, SettingsError

DEMO_SECRET = "a secret that everybody knows, and long enough"


OWN_SECRET = "a long secret of this installation only"


def problems(env: dict[str, str], read: Callable[[Environment], object]) -> list[str]:
    """Return what is wrong with an environment from which `read` reads."""
    environment = Environment(env)
    read(environment)
    with pytest.raises(SettingsError) as error:
        environment.finish()
    return error.value.problems


class TestReading:
    def test_settings_have_the_type_they_are_read_as(self) -> None:
        environment = Environment(
            {
                "TEXT": " words ",
                "NUMBER": "7",
                "SECONDS": "1.5",
                "DAYS": "30",
                "YES": "On",
                "NO": "0",
                "CHOICE": "blue",
                "WORDS": "a, b,,c ",
                "PATH": "/some/where",
            }
        )

        assert environment.text("TEXT") == "words"
        assert environment.integer("NUMBER", default=1) == 7
        assert environment.seconds("SECONDS", default=1) == timedelta(seconds=1.5)
        assert environment.days("DAYS", default=1) == timedelta(days=30)
        assert environment.boolean("YES", default=False) is True
        assert environment.boolean("NO", default=True) is False
        assert environment.choice("CHOICE", ("red", "blue"), default="red") == "blue"
        assert environment.words("WORDS") == ("a", "b", "c")
        assert environment.path("PATH", default="/") == Path("/some/where")
        environment.finish()

    def test_what_is_not_given_or_empty_has_its_default(self) -> None:
        environment = Environment({"TEXT": "", "NUMBER": " "})

        assert environment.text("TEXT", default="x") == "x"
        assert environment.integer("NUMBER", default=7) == 7
        assert environment.boolean("MISSING", default=True) is True
        assert environment.words("MISSING", default=("a",)) == ("a",)
        assert environment.optional("MISSING") is None
        environment.finish()

    def test_every_mistake_is_reported_at_once(self) -> None:
        def read(environment: Environment) -> None:
            environment.text("NAME")
            environment.integer("COUNT", default=1)
            environment.integer("PORT", default=1, maximum=65_535)
            environment.seconds("WAIT", default=1)
            environment.boolean("FLAG", default=False)
            environment.choice("COLOUR", ("red", "blue"), default="red")

        env = {"COUNT": "many", "PORT": "70000", "WAIT": "-1", "FLAG": "perhaps", "COLOUR": "green"}

        found = problems(env, read)

        assert [problem.split()[0] for problem in found] == ["NAME", "COUNT", "PORT", "WAIT", "FLAG", "COLOUR"]
        assert "'many'" in found[1]
        assert "between 0 and 65535" in found[2]

    @pytest.mark.parametrize("value", ["nan", "inf", "-inf", "1e300"])
    def test_a_duration_that_is_none_is_a_mistake_like_any_other(self, value: str) -> None:
        found = problems({"WAIT": value}, lambda environment: environment.seconds("WAIT", default=1))

        assert len(found) == 1
        assert found[0].startswith("WAIT must be")

    def test_the_message_lists_all_mistakes(self) -> None:
        error = SettingsError(["A is required.", "B is required."])

        assert str(error) == "The settings are not valid:\n  - A is required.\n  - B is required."


class TestSecretsOfSeveral:
    DEMO = {"baker": "a yeast that everybody knows"}
    OWN, OTHER = "the yeast that only this baker has", "the cream that only this dairy has"

    def read(self, env: dict[str, str]) -> Mapping[str, str]:
        return Environment(env).secrets("SECRETS", demo=self.DEMO)

    def problems_in_production(self, given: str) -> list[str]:
        env = {"STEWARD_PROFILE": "production", "SECRETS": given}
        return problems(env, lambda environment: environment.secrets("SECRETS", demo=self.DEMO))

    def test_each_has_a_name_and_whatever_is_behind_the_first_colon(self) -> None:
        assert self.read({"SECRETS": "baker:yeast, dairy:cream:sweet,"}) == {"baker": "yeast", "dairy": "cream:sweet"}

    def test_the_demo_has_its_own_until_others_are_given(self) -> None:
        assert self.read({}) == self.DEMO
        assert self.read({"SECRETS": "dairy:cream"}) == {"dairy": "cream"}

    def test_production_takes_long_secrets_of_its_own(self) -> None:
        environment = Environment({"STEWARD_PROFILE": "production", "SECRETS": f"baker:{self.OWN},dairy:{self.OTHER}"})

        assert environment.secrets("SECRETS", demo=self.DEMO) == {"baker": self.OWN, "dairy": self.OTHER}
        environment.finish()

    @pytest.mark.parametrize(
        ("given", "complaint"),
        [
            ("", "SECRETS is required in production."),
            ("baker:a yeast that everybody knows", "SECRETS (baker) is the demo value"),
            (f"baker:{OWN},dairy:short", "SECRETS (dairy) must have at least 32 characters"),
        ],
    )
    def test_production_refuses_them_like_any_other(self, given: str, complaint: str) -> None:
        (found,) = self.problems_in_production(given)

        assert found.startswith(complaint)

    @pytest.mark.parametrize("given", ["yeast-and-sugar", ":yeast-and-sugar", "baker:", "baker:yeast,baker:sugar"])
    def test_a_list_that_is_none_is_refused_and_not_shown(self, given: str) -> None:
        (found,) = problems({"SECRETS": given}, lambda environment: environment.secrets("SECRETS", demo=self.DEMO))

        assert found == "SECRETS must be a list of different names with a secret each, like name:secret."


class TestProfiles:
    def test_the_demo_profile_needs_no_secret_of_its_own(self) -> None:
        environment = Environment({})

        assert environment.profile is Profile.DEMO
        assert environment.secret("SECRET", demo=DEMO_SECRET) == DEMO_SECRET
        environment.refuse_in_production("DEBUG", when=True, because="it shows too much.")
        environment.finish()

    @pytest.mark.parametrize(
        ("secret", "complaint"),
        [({}, "required"), ({"SECRET": DEMO_SECRET}, "demo value"), ({"SECRET": "short"}, "at least 32 characters")],
    )
    def test_production_refuses_a_secret_that_is_missing_known_or_short(
        self, secret: dict[str, str], complaint: str
    ) -> None:
        env = {"STEWARD_PROFILE": "production", **secret}

        (found,) = problems(env, lambda environment: environment.secret("SECRET", demo=DEMO_SECRET))

        assert complaint in found

    def test_production_takes_a_long_secret_of_its_own(self) -> None:
        environment = Environment({"STEWARD_PROFILE": "production", "SECRET": OWN_SECRET})

        assert environment.secret("SECRET", demo=DEMO_SECRET) == OWN_SECRET
        environment.finish()

    def test_production_refuses_a_secret_made_of_few_characters(self) -> None:
        env = {"STEWARD_PROFILE": "production", "SECRET": "ab" * 20}

        (found,) = problems(env, lambda environment: environment.secret("SECRET", demo=DEMO_SECRET))

        assert "8 different characters" in found

    def test_production_refuses_one_secret_for_two_purposes(self) -> None:
        def read(environment: Environment) -> None:
            environment.secret("ONE", demo=DEMO_SECRET)
            environment.secret("OTHER", demo=DEMO_SECRET)

        found = problems({"STEWARD_PROFILE": "production", "ONE": OWN_SECRET, "OTHER": OWN_SECRET}, read)

        assert found == ["OTHER is the same secret as ONE; each purpose needs its own."]

    @pytest.mark.parametrize("password", ["guest", "steward", "postgres", "demo-user-service"])
    def test_production_refuses_a_password_in_a_url_that_everybody_knows(self, password: str) -> None:
        env = {"BROKER_URL": f"amqp://someone:{password}@broker/"}
        Environment(env).text("BROKER_URL")

        found = problems(env | {"STEWARD_PROFILE": "production"}, lambda each: each.text("BROKER_URL"))

        assert found == ["BROKER_URL is refused in production: it holds a password that everybody knows."]

    @pytest.mark.parametrize("network", ["0.0.0.0/0", "::/0", "0.0.0.0/1", "2000::/3"])
    def test_production_trusts_no_network_that_holds_strangers(self, network: str) -> None:
        env = {"STEWARD_PROFILE": "production", "PROXIES": f"10.0.0.0/8,{network}"}

        (found,) = problems(env, lambda environment: environment.trusted_networks("PROXIES"))

        assert found.startswith(f"PROXIES is refused in production: {network} ")

    def test_production_refuses_what_is_unsafe(self) -> None:
        def read(environment: Environment) -> None:
            environment.refuse_in_production("DEBUG", when=True, because="it shows too much.")
            environment.refuse_in_production("OTHER", when=False, because="of nothing.")

        found = problems({"STEWARD_PROFILE": "production"}, read)

        assert found == ["DEBUG is refused in production: it shows too much."]

    def test_a_profile_nobody_knows_is_a_mistake_and_none_of_its_secrets_are_the_demo_ones(self) -> None:
        def read(environment: Environment) -> None:
            environment.secret("SECRET", demo=DEMO_SECRET)

        found = problems({"STEWARD_PROFILE": "prodution"}, read)

        assert [problem.split()[0] for problem in found] == ["STEWARD_PROFILE", "SECRET"]
