"""What mails say: templates by code, language and version, the newest of which counts unless one is named.

A template is two files of `templates/`: `CODE.LANGUAGE.VERSION.txt`, whose first line is the subject, and the same in
HTML. A variable that is missing is an error, never a gap in a mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from delivery_service.model.errors import TemplateNotFound, TemplateNotRendered

FOLDER = Path(__file__).parent.parent / "templates"
DEFAULT_LANGUAGE = "en"


@dataclass(frozen=True, slots=True, order=True)
class TemplateKey:
    code: str
    language: str
    version: int

    def __str__(self) -> str:
        return f"{self.code}.{self.language}.{self.version}"


@dataclass(frozen=True, slots=True)
class Content:
    subject: str
    text: str
    html: str


class Templates:
    def __init__(self, public_url: str, folder: Path = FOLDER) -> None:
        self._jinja = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(folder),
            undefined=StrictUndefined,
            autoescape=select_autoescape(["html"]),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._jinja.globals["public_url"] = public_url
        self.keys = tuple(sorted(_key(file.stem) for file in folder.glob("*.txt")))

    def find(self, code: str, language: str, version: int | None = None) -> TemplateKey:
        """Return the newest version in the language, or in the default one. Raises TemplateNotFound."""
        for spoken in (language, DEFAULT_LANGUAGE):
            fitting = [key for key in self.keys if (key.code, key.language) == (code, spoken)]
            chosen = [key for key in fitting if version in {None, key.version}]
            if chosen:
                return chosen[-1]
        raise TemplateNotFound(f"There is no template {code}.")

    def render(self, key: TemplateKey, variables: Mapping[str, Any]) -> Content:
        """Return what a mail says. Raises TemplateNotRendered."""
        try:
            plain = self._jinja.get_template(f"{key}.txt").render(_on_one_line(variables))
            html = self._jinja.get_template(f"{key}.html").render(variables)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise TemplateNotRendered(f"{key}: {error}") from error
        subject, _, text = plain.partition("\n")
        return Content(" ".join(subject.split()), text.strip() + "\n", html)


def _on_one_line(variables: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables with their texts on one line, so that none ends the subject."""
    return {key: " ".join(value.split()) if isinstance(value, str) else value for key, value in variables.items()}


def _key(stem: str) -> TemplateKey:
    code, language, version = stem.split(".")
    return TemplateKey(code, language, int(version))
