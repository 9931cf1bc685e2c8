"""Drawing requests from an OpenAPI document and holding the answers of our service against it (schemathesis)."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.generation import GenerationMode

CHECKED = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
"""What every answer must be: never a 5xx, and as the document says."""


def conforms(
    document: Mapping[str, Any], client: TestClient, prefix: str, tokens: list[str], examples: int, number: int
) -> dict[str, int]:
    """Ask every operation with drawn parameters, good and bad ones, without a token and with each of `tokens`.

    Returns how often each status was answered. `number` is the seed, `examples` how many good requests of each
    operation; a third as many are bad ones.
    """
    load_all_checks()
    checks = CHECKS.get_by_names(CHECKED)
    found = dict[str, int]()
    shown = [{}, *({"Authorization": f"Bearer {token}"} for token in tokens)]

    def ask(case: Any, place: int) -> None:
        request = case.as_transport_kwargs(base_url=f"{client.base_url}{prefix}")
        headers = {**request["headers"], **shown[place % len(shown)]}
        headers = {name: value for name, value in headers.items() if name.lower() != "user-agent"}
        answer = client.request(
            request["method"],
            request["url"],
            params=request.get("params"),
            headers=headers,
            json=request.get("json"),
            content=request.get("data"),
        )
        found[str(answer.status_code)] = found.get(str(answer.status_code), 0) + 1
        case.validate_response(answer, checks=checks)

    for operation in schemathesis.openapi.from_dict(dict(document)).get_all_operations():
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                drawn = operation.ok().as_strategy(generation_mode=mode)
                _run(drawn, ask, examples if mode is GenerationMode.POSITIVE else max(1, examples // 3), number)
            except Unsatisfiable:  # nothing of this operation can be wrong
                assert mode is GenerationMode.NEGATIVE
    return found


def _run(drawn: st.SearchStrategy[Any], ask: Callable[[Any, int], None], examples: int, number: int) -> None:
    asked = count()

    @seed(number)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=drawn)
    def run(case: Any) -> None:
        ask(case, next(asked))

    run()
