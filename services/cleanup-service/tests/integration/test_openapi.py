"""The service against its own description: every answer is one the description knows, and none is a crash."""

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from service_chassis.testing.web import Trial


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_one_the_description_knows(trial: Trial, mode: GenerationMode) -> None:
    described = schemathesis.openapi.from_wsgi("/openapi.json", trial.app).include(path_regex="^/api/v1")
    headers = trial.callers.headers("admin")
    for operation in [result.ok() for result in described.get_all_operations() if isinstance(result, Ok)]:
        if mode is GenerationMode.NEGATIVE and not takes_anything(operation):
            continue

        @hypothesis.settings(max_examples=10)
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def answers_as_described(case: schemathesis.Case[Any]) -> None:
            # No description can say which run is open or which cursors were given out.
            case.call_and_validate(headers=headers, excluded_checks=[positive_data_acceptance])

        answers_as_described()


def takes_anything(operation: Any) -> bool:
    """Say whether a request can have anything wrong in it."""
    return bool(operation.body or any(operation.iter_parameters()))
