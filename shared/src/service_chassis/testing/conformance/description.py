"""What every service owes its clients: every answer is one its own description knows, and none is a crash."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from flask import Flask
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service_chassis.testing.conformance import extremes

EXAMPLES = 10
"""Requests of each kind to each operation."""


class DescriptionConformance:
    """Derive from it, with fixtures for the application and the headers of somebody who may do everything."""

    @pytest.fixture
    def app(self, trial: Any) -> Flask:
        app: Flask = trial.app
        return app

    @pytest.fixture
    def headers(self, trial: Any) -> dict[str, str]:
        return dict(trial.callers.headers("admin"))

    @pytest.mark.parametrize("mode", list(GenerationMode))
    def test_every_answer_is_one_the_description_knows(
        self, app: Flask, headers: dict[str, str], mode: GenerationMode
    ) -> None:
        described = schemathesis.openapi.from_wsgi("/openapi.json", app).include(path_regex="^/api/v1")
        for operation in [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]:
            if mode is GenerationMode.POSITIVE or _takes_anything(operation):
                _try(operation, headers, mode)

    def test_no_value_at_the_end_of_its_range_makes_it_fail(self, app: Flask, headers: dict[str, str]) -> None:
        assert extremes.failures(app, headers) == []


def _try(operation: Any, headers: dict[str, str], mode: GenerationMode) -> None:
    @hypothesis.settings(max_examples=EXAMPLES)
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def answers_as_described(case: schemathesis.Case[Any]) -> None:
        # No description can say what exists at the moment, or which cursors were given out.
        case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

    answers_as_described()


def _takes_anything(operation: Any) -> bool:
    """Say whether a request can have anything wrong in it."""
    return bool(operation.body or any(operation.iter_parameters()))
