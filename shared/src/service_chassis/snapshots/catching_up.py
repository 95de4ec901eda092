"""Taking over the snapshots that are due, page by page; whoever is interrupted goes on where it was."""

from datetime import timedelta

from service_chassis.scheduler import Job
from service_chassis.snapshots import progress
from service_chassis.snapshots.exchanged import Range
from service_chassis.snapshots.projection import Projected, Projection

LOOK_EVERY = timedelta(seconds=1)


class CatchingUp:
    def __init__(self, projected: Projected) -> None:
        self._projected = projected

    def job(self) -> Job:
        return Job("projections.catch_up", LOOK_EVERY, self.step)

    def step(self) -> bool:
        """Take over the next page of the first snapshot that is due; say whether there is more to do."""
        with self._projected.units.read() as uow:
            due = {state.name for state in progress.unfinished(uow.session, self._projected.names)}
        for projection in self._projected.projections:
            if projection.name in due:
                self._take_over_page(projection)
                return True
        return False

    def problem(self) -> str | None:
        """Return what is not known yet, as a check of health does."""
        with self._projected.units.read() as uow:
            due = progress.unfinished(uow.session, self._projected.names)
        return ", ".join(f"catching_up: {state.name} {state.percent} %" for state in due) or None

    def _take_over_page(self, projection: Projection) -> None:
        projected = self._projected
        with projected.units.write() as uow:
            progress.begin(uow.session, projection.name, uow.now)
            seen = progress.of(uow.session, projection.name)
        page = projected.owner.page(projection.name, Range(seen.cursor))
        with projected.units.write() as uow:
            # Somebody else may have taken it over meanwhile, or let the snapshot begin again.
            if not progress.advance(uow.session, seen, page, uow.now):
                return
            projected.learn(uow, page.events)
        if page.next is None:
            projected.log.info("snapshot_taken", projection=projection.name, states=seen.done + len(page.events))
