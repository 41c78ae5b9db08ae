"""The server does what its OpenAPI document says, whatever is sent."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings


@pytest.fixture(scope="session")
def document(url):
    return schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_openapi(case):
    case.call_and_validate(headers={"Authorization": "Bearer a-key"})
