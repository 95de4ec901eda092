"""Everything the service says, checked against what it has promised to say."""

from typing import Any

import event_contracts as contracts
from service_chassis.testing.plugin import only_sqlite
from service_chassis.testing.service import Published

pytestmark = only_sqlite


def test_every_event_is_what_its_contract_says(post: Any, published: Published) -> None:
    post.takes()
    post.takes("no_such_template", user_id=None)
    post.takes(channel="push")
    post.sends()

    for contract, expected in ((contracts.NotificationDelivered, 1), (contracts.NotificationFailed, 2)):
        events = published(contract)
        assert len(events) == expected
        for event in events:
            assert contracts.validated(event.data) == event.data
            assert (event.version, event.subject) == (None, event.data.subject)
