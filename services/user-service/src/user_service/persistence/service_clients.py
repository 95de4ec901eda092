"""Services that call others in their own name."""

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from user_service.model.service_client import ServiceClient


class ServiceClientRepository:
    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, client: ServiceClient) -> ServiceClient:
        """Add a client, in the place of an earlier one of this name."""
        self._session.execute(delete(ServiceClient).where(ServiceClient.client_id == client.client_id))
        self._session.add(client)
        return client

    def by_client_id(self, client_id: str) -> ServiceClient | None:
        return self._session.scalar(select(ServiceClient).where(ServiceClient.client_id == client_id))
