"""Runs and their members."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from cleanup_service.model.errors import NoReportYet, RunInProgress, RunNotFound
from cleanup_service.model.known_user import ACTIVE, KnownUser
from cleanup_service.model.run import NO_ANSWER, Member, Outcome, Run, report_of
from service_chassis.database.paging import Page, Paging, ascending, descending, fetch_page
from service_chassis.database.statements import among, changed


class RunRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, run: Run) -> Run:
        """Open a run. Raises RunInProgress."""
        self._session.add(run)
        try:
            self._session.flush()
        except IntegrityError as error:
            raise RunInProgress from error
        return run

    def get(self, run_id: UUID) -> Run:
        """Return a run. Raises RunNotFound."""
        return self._found(select(Run).where(Run.id == run_id))

    def locked(self, run_id: UUID) -> Run:
        """Return a run that nobody else changes until this transaction ends. Raises RunNotFound."""
        return self._found(select(Run).where(Run.id == run_id).with_for_update())

    def open_run(self) -> Run | None:
        """Return the run in progress, locked."""
        return self._session.scalar(select(Run).where(Run.slot.is_not(None)).with_for_update())

    def has_open(self) -> bool:
        return self._session.scalar(select(Run.number).where(Run.slot.is_not(None))) is not None

    def latest_start(self) -> datetime | None:
        return self._session.scalar(select(func.max(Run.started_at)))

    def page(self, paging: Paging) -> Page[Run]:
        """Return a piece of the list of runs, newest first. Raises InvalidCursor."""
        return fetch_page(self._session, select(Run), descending(Run.number), paging)

    def reports_page(self, paging: Paging) -> Page[dict[str, Any]]:
        """Return a piece of the list of reports, newest first. Raises InvalidCursor."""
        page = fetch_page(self._session, _finished(), descending(Run.number), paging)
        return replace(page, items=[report_of(run) for run in page.items])

    def latest_report(self) -> Run:
        """Return the run that finished last. Raises NoReportYet."""
        run = self._session.scalar(_finished().order_by(Run.number.desc()).limit(1))
        if run is None:
            raise NoReportYet
        return run

    def plan_members(self, run: Run) -> int:
        """Put every user into the plan that is inactive by the run's rule; return how many."""
        inactive = select(literal(run.number), KnownUser.user_id, KnownUser.last_activity_at, literal(0)).where(
            KnownUser.status == ACTIVE,
            KnownUser.last_activity_at < run.cutoff,
            KnownUser.role.not_in(run.exempt_roles),
        )
        columns = ["run_number", "user_id", "last_activity_at", "asked"]
        return changed(self._session, insert(Member).from_select(columns, inactive))

    def members_after(self, run: Run, limit: int) -> list[UUID]:
        """Return the next members to ask user-service about, in the order of their ids."""
        query = select(Member.user_id).where(Member.run_number == run.number).order_by(Member.user_id).limit(limit)
        if run.asked_up_to is not None:
            query = query.where(Member.user_id > run.asked_up_to)
        return list(self._session.scalars(query))

    def unanswered(self, run: Run, asked: int, limit: int) -> list[UUID]:
        """Return members without an outcome that were asked so many times over."""
        query = select(Member.user_id).where(
            Member.run_number == run.number, Member.outcome.is_(None), Member.asked == asked
        )
        return list(self._session.scalars(query.order_by(Member.user_id).limit(limit)))

    def asked_again(self, run: Run, ids: Collection[UUID]) -> None:
        self._update(run.number, ids, asked=Member.asked + 1)

    def give_up(self, run: Run, *, at: datetime, reason: str = NO_ANSWER) -> int:
        """Close what has no outcome; return how many."""
        silent = (Member.run_number == run.number) & Member.outcome.is_(None)
        values = {"outcome": Outcome.FAILED, "reason": reason, "outcome_at": at}
        return changed(self._session, update(Member).where(silent).values(values))

    def settle(self, run_id: UUID, ids: Collection[UUID], answer: Mapping[str, Any]) -> bool:
        """Note the answer of members that have none, or none but silence; say whether that changed anything."""
        number = self._session.scalar(select(Run.number).where(Run.id == run_id))
        unsettled = Member.outcome.is_(None) | (Member.reason == NO_ANSWER)
        return number is not None and self._update(number, ids, unsettled, **answer) > 0

    def has_unanswered(self, run: Run) -> bool:
        silent = select(Member.user_id).where(Member.run_number == run.number, Member.outcome.is_(None)).limit(1)
        return self._session.scalar(silent) is not None

    def outcomes(self, run: Run) -> dict[str, int]:
        """Return how many members have which outcome."""
        counts = select(Member.outcome, func.count()).where(
            Member.run_number == run.number, Member.outcome.is_not(None)
        )
        return {str(outcome): count for outcome, count in self._session.execute(counts.group_by(Member.outcome))}

    def reasons(self, run: Run) -> dict[str, int]:
        """Return how many members were refused or failed for which reason."""
        counts = select(Member.reason, func.count()).where(Member.run_number == run.number, Member.reason.is_not(None))
        return {str(reason): count for reason, count in self._session.execute(counts.group_by(Member.reason))}

    def members_page(self, run: Run, paging: Paging) -> Page[Member]:
        """Return a piece of the list of a run's members. Raises InvalidCursor."""
        members = select(Member).where(Member.run_number == run.number)
        return fetch_page(self._session, members, ascending(Member.user_id), paging)

    def _update(self, number: int, ids: Collection[UUID], *conditions: Any, **values: Any) -> int:
        members = (Member.run_number == number) & among(self._session, Member.user_id, ids)
        statement = update(Member).where(members, *conditions).values(**values)
        return changed(self._session, statement.execution_options(synchronize_session=False))

    def _found(self, query: Select[Run]) -> Run:
        # As it stands now, also when this transaction has seen it before and waited since.
        run = self._session.scalar(query, execution_options={"populate_existing": True})
        if run is None:
            raise RunNotFound
        return run


def _finished() -> Select[Run]:
    return select(Run).where(Run.completed_at.is_not(None))
