"""Reports: what finished runs did."""

from typing import Any

from cleanup_service.http.dependencies import may_read_reports, uow
from cleanup_service.http.schemas import ReportView
from cleanup_service.model.run import report_of
from service_chassis.http import Blueprint, Page, PageQuery, Paging, allowed

reports = Blueprint("reports", __name__, url_prefix="/api/v1/reports", description="What cleanup runs did.")


@reports.route("")
@reports.arguments(PageQuery, location="query")
@reports.response(200, ReportView(many=True))
@allowed(may_read_reports)
def list_reports(paging: Paging) -> Page[dict[str, Any]]:
    """List reports, newest first."""
    return uow().runs.reports_page(paging)


@reports.route("/latest")
@reports.response(200, ReportView)
@allowed(may_read_reports)
def latest() -> dict[str, Any]:
    """Return the newest report."""
    return report_of(uow().runs.latest_report())
