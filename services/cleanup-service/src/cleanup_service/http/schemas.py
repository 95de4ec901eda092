"""Shapes of requests and answers."""

from marshmallow import Schema, fields, validate

LONGEST_THRESHOLD = 36_500


class TriggerBody(Schema):
    threshold_days = fields.Integer(
        strict=True,
        validate=validate.Range(1, LONGEST_THRESHOLD),
        metadata={"description": "Days without activity, instead of the policy's."},
    )
    expect_up_to = fields.Integer(
        strict=True,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "More candidates than this wait for approval."},
    )


class TriggeredView(Schema):
    id = fields.UUID(required=True)
    status = fields.String(required=True)
    status_url = fields.String(required=True)


class RunSummary(Schema):
    id = fields.UUID(required=True)
    report_id = fields.Integer(required=True, attribute="number")
    status = fields.String(required=True)
    trigger = fields.String(required=True)
    requested_by = fields.UUID(required=True, allow_none=True)
    threshold_days = fields.Integer(required=True)
    cutoff = fields.DateTime(required=True)
    candidates = fields.Integer(required=True)
    deactivated = fields.Integer(required=True)
    refused = fields.Integer(required=True)
    failed = fields.Integer(required=True)
    active_users_remaining = fields.Integer(required=True, allow_none=True)
    objection = fields.String(required=True, allow_none=True)
    error = fields.String(required=True, allow_none=True)
    started_at = fields.DateTime(required=True)
    planned_at = fields.DateTime(required=True, allow_none=True)
    completed_at = fields.DateTime(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)


class RunView(RunSummary):
    reasons = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class MemberView(Schema):
    user_id = fields.UUID(required=True)
    last_activity_at = fields.DateTime(required=True)
    outcome = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True, allow_none=True)
    outcome_at = fields.DateTime(required=True, allow_none=True)


class ReportView(Schema):
    id = fields.Integer(required=True)
    run_id = fields.UUID(required=True)
    timestamp = fields.DateTime(required=True)
    status = fields.String(required=True)
    mode = fields.String(required=True)
    trigger = fields.String(required=True)
    requested_by = fields.UUID(required=True, allow_none=True)
    threshold_days = fields.Integer(required=True)
    cutoff = fields.DateTime(required=True)
    candidates = fields.Integer(required=True)
    users_deleted = fields.Integer(required=True)
    users_deactivated = fields.Integer(required=True)
    users_purged = fields.Integer(required=True)
    users_refused = fields.Integer(required=True)
    users_failed = fields.Integer(required=True)
    active_users_remaining = fields.Integer(required=True)
    duration_ms = fields.Integer(required=True)
    error = fields.String(required=True, allow_none=True)
