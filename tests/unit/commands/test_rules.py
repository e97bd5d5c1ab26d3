"""The contract with other services."""

from typing import Any

import jsonschema
import pytest

from workers.app import app
from workers.commands.rules import contract as rules
from workers.emergencies.formats import OpenEmergency


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, ["wedding_id is missing; send it", "kind is missing; send it"]),
        (
            {"wedding_id": "w-1", "kind": "flood"},
            ["kind='flood': Input should be 'weather', 'venue', 'vendor' or 'technical'"],
        ),
        ({"wedding_id": "w {1}", "kind": "venue"}, ["wedding_id: String should match pattern"]),
        ({"wedding_id": 7, "kind": "venue"}, ["wedding_id: Input should be a valid string"]),
        (
            {"wedding_id": "w-1", "kind": "venue", "request_key": "a b"},
            ["request_key: String should match pattern"],
        ),
        ({"wedding_id": "w-1", "kind": "venue", "from_the_future": 1}, []),
    ],
)
def test_each_bad_field_is_named(fields: dict[str, Any], says: list[str]) -> None:
    found = rules.problems(OpenEmergency, fields)
    assert len(found) == len(says)
    for line, start in zip(found, says, strict=True):
        assert line.startswith(start)


def test_the_schemas_are_those_that_are_checked_and_each_has_its_task() -> None:
    app.loader.import_default_modules()
    documented = rules.schemas()
    assert set(rules.CONTRACT) <= set(app.tasks)
    jsonschema.validate({"wedding_id": "w-1", "kind": "weather"}, documented["emergencies.open"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"wedding_id": "w-1", "kind": "flood"}, documented["emergencies.open"])
