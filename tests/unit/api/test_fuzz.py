"""The API keeps to its own description, whatever is sent: requests made from its OpenAPI document.

Right ones and wrong ones; every answer must be one that the description names, of the shape that it gives, and no
request may end in a failure of the server.
"""

import pytest
import schemathesis
from api_tokens import AGENT, PERSON
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance, unsupported_method

BEYOND_A_SCHEMA = [
    positive_data_acceptance,  # a filter may name a metric that no run has; a card a lane that is not there
    unsupported_method,  # 405 is what Starlette answers, without a description per path
]


def operations(app) -> dict:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    return {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
def test_answers_keep_to_the_description(app, mode: GenerationMode) -> None:
    asked = 0
    for operation in operations(app).values():
        if mode is GenerationMode.NEGATIVE and operation.label.endswith("/api/health"):
            continue  # it has nothing that could be wrong

        @seed(1)
        @settings(
            max_examples=15,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answers(case) -> None:
            nonlocal asked
            asked += 1
            token = PERSON if "approvals" in case.path else AGENT
            if "manager_id" in case.path_parameters:  # a random name would never get as far as the card
                case.path_parameters["manager_id"] = "dir_models"
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, excluded_checks=BEYOND_A_SCHEMA)

        answers()
    assert asked > 100
