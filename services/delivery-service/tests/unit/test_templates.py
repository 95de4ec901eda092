"""Every mail that user-service asks for has its words."""

from pathlib import Path

import pytest

from delivery_service.mailer import ACCOUNT_MAILS
from delivery_service.mailing.message import links
from delivery_service.mailing.templates import Templates
from delivery_service.model.errors import TemplateNotFound, TemplateNotRendered

HERE = "https://steward.example"
ASKED_FOR = {
    "account_invitation": {"account": "Bees & Sons", "role": "Admin", "token": "abc"},
    "already_registered": {"minutes": "60", "token": "abc"},
    "email_change": {"email": "new@example.com", "token": "abc"},
    "email_change_notice": {"email": "new@example.com", "token": "abc"},
    "email_changed": {"email": "new@example.com"},
    "password_changed": {},
    "password_reset": {"minutes": "60", "token": "abc"},
    "task_alert_digest": {"missed": 2, "due_soon": 1, "assignee_deactivated": 0, "consequence_held": 1},
    "verify_email": {"hours": "48", "token": "abc"},
}
"""The variables that user-service gives to each, besides the name."""


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates(HERE)


@pytest.mark.parametrize("code", ASKED_FOR)
def test_there_are_words_for(code: str, templates: Templates) -> None:
    variables = {"name": "Anna", **ASKED_FOR[code]}

    content = templates.render(templates.find(code, "en"), variables)

    assert content.subject
    assert "\n" not in content.subject
    assert "Hello Anna," in content.text
    assert "Hello Anna," in content.html
    assert all(link.startswith(HERE) for link in links(content.text))
    assert any("token=abc" in link for link in links(content.text)) == ("token" in variables)
    assert links(content.html) == links(content.text)


def test_account_mails_and_built_ins_are_the_same_but_for_the_digest(templates: Templates) -> None:
    assert {key.code for key in templates.keys} - {"task_alert_digest"} == ACCOUNT_MAILS


def test_somebody_without_a_name_is_greeted_all_the_same(templates: Templates) -> None:
    content = templates.render(templates.find("password_changed", "en"), {"name": ""})

    assert "Hello," in content.text
    assert "Hello," in content.html


def test_markup_in_a_variable_is_text(templates: Templates) -> None:
    variables = {"name": "", "account": "<b>&", "role": "Admin", "token": "abc"}

    content = templates.render(templates.find("account_invitation", "en"), variables)

    assert "<b>" not in content.html
    assert "&lt;b&gt;&amp;" in content.html
    assert "<b>&" in content.text


def test_no_variable_ends_the_subject(templates: Templates) -> None:
    variables = {"name": "", "account": "Bees\r\nBcc: all@example.com", "role": "Admin", "token": "abc"}

    content = templates.render(templates.find("account_invitation", "en"), variables)

    assert content.subject == "You are invited to Bees Bcc: all@example.com"


def test_a_missing_variable_is_an_error_and_no_gap(templates: Templates) -> None:
    with pytest.raises(TemplateNotRendered, match="minutes"):
        templates.render(templates.find("password_reset", "en"), {"name": "", "token": "abc"})


def test_another_language_falls_back_on_english_and_the_newest_version_counts(tmp_path: Path) -> None:
    for key in ("hello.en.1", "hello.en.2", "hello.en.10", "hello.de.1"):
        (tmp_path / f"{key}.txt").write_text("Hello")
    templates = Templates(HERE, tmp_path)

    assert str(templates.find("hello", "de")) == "hello.de.1"
    assert str(templates.find("hello", "fr")) == "hello.en.10"
    assert str(templates.find("hello", "en", 2)) == "hello.en.2"
    with pytest.raises(TemplateNotFound):
        templates.find("hello", "en", 3)


def test_a_template_cannot_reach_out_of_its_sandbox(tmp_path: Path) -> None:
    (tmp_path / "bad.en.1.txt").write_text("{{ name.__class__.__mro__ }}")
    (tmp_path / "bad.en.1.html").write_text("")
    templates = Templates(HERE, tmp_path)

    with pytest.raises(TemplateNotRendered):
        templates.render(templates.find("bad", "en"), {"name": "Anna"})
