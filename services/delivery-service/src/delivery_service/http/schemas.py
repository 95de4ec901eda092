"""Shapes of templates and mails."""

from marshmallow import Schema, fields, validate

from delivery_service.mailing.templates import DEFAULT_LANGUAGE

NAME = validate.Regexp(r"^[A-Za-z0-9_-]{1,100}\Z", error="Use letters, digits, - and _.")


class TemplateView(Schema):
    code = fields.String(required=True)
    language = fields.String(required=True)
    version = fields.Integer(required=True)


class PreviewBody(Schema):
    language = fields.String(load_default=DEFAULT_LANGUAGE, validate=NAME)
    version = fields.Integer(strict=True, load_default=None, allow_none=True, validate=validate.Range(1, 1_000_000))
    variables = fields.Dict(keys=fields.String(), load_default=dict)


class ContentView(Schema):
    subject = fields.String(required=True)
    text = fields.String(required=True)
    html = fields.String(required=True)


class MailView(ContentView):
    to = fields.String(required=True)
    links = fields.List(fields.String(), required=True)
