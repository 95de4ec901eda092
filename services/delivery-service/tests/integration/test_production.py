"""What only the demo has is not there in production."""

import threading

from prometheus_client import CollectorRegistry

from delivery_service.bootstrap import bootstrap

PRODUCTION = {
    "STEWARD_PROFILE": "production",
    "DATABASE_URL": "postgresql://delivery_service:secret@nowhere.invalid/steward",
    "BROKER_URL": "amqp://delivery_service:secret@nowhere.invalid/",
    "USER_SERVICE_URL": "http://127.0.0.1:9",
    "DELIVERY_SERVICE_SECRET": "a long secret of this installation only",
    "NOTIFICATION_SECRET": "a long secret that user-service shares",
    "SMTP_URL": "smtps://steward:secret@mail.example:465",
    "MAIL_FROM": "Steward <steward@example.com>",
    "PUBLIC_URL": "https://steward.example.com",
}


def test_nobody_reads_mails_in_production() -> None:
    stop = threading.Event()
    service = bootstrap(PRODUCTION, CollectorRegistry(), stop)

    answer = service.make_web().test_client().get("/demo/mail")

    assert answer.status_code == 404
    stop.set()
    service.close()
