"""What is no message is told from what is."""

from typing import Any

import pytest

from workers.foundation import messages

PROPERTIES: dict[str, Any] = {"delivery_tag": "t", "delivery_info": {"exchange": "", "routing_key": "steady"}}
SOUND: dict[str, Any] = {
    "body": "",
    "headers": {"task": "a.b", "id": "i", "timelimit": [None, None]},
    "properties": PROPERTIES,
}


@pytest.mark.parametrize("message", [SOUND, SOUND | {"headers": {}}, SOUND | {"headers": None}])
def test_a_message_is_one(message: object) -> None:
    assert messages.problem(message) is None


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ([], "it is no JSON object"),
        ({}, "properties must be an object"),
        (
            SOUND | {"properties": PROPERTIES | {"delivery_tag": None}},
            "properties.delivery_tag must be a string",
        ),
        (SOUND | {"headers": [1]}, "headers must be an object"),
        (SOUND | {"headers": {"task": ["a"], "id": "i"}}, "headers.task must be a string"),
        (SOUND | {"headers": {"task": "a"}}, "headers.id must be a string"),
        (
            SOUND | {"properties": PROPERTIES | {"delivery_info": {}}},
            "properties.delivery_info must name exchange",
        ),
        (
            SOUND | {"properties": PROPERTIES | {"delivery_info": {"routing_key": "steady"}}},
            "properties.delivery_info must name",
        ),
        (
            SOUND | {"properties": PROPERTIES | {"body_encoding": "rot13"}},
            "properties.body_encoding must be base64",
        ),
        (
            SOUND | {"properties": PROPERTIES | {"body_encoding": ["base64"]}},
            "properties.body_encoding must be base64",
        ),
        (SOUND | {"content-encoding": 5}, "content-encoding must be utf-8"),
        (SOUND | {"content-encoding": ["utf-8"]}, "content-encoding must be utf-8"),
        (SOUND | {"headers": {"task": "a", "id": "i", "job": 5}}, "headers.job is beat's own"),
        (SOUND | {"headers": {"task": "a", "id": "i", "job": {"name": "x"}}}, "headers.job is beat's own"),
        (
            SOUND | {"headers": {"task": "a", "id": "i", "expires": 5}},
            "headers.expires must be a moment in ISO 8601",
        ),
        (
            SOUND | {"headers": {"task": "a", "id": "i", "timelimit": ["a", "b"]}},
            "headers.timelimit is ours to set",
        ),
    ],
)
def test_what_is_none_names_its_field(message: object, says: str) -> None:
    assert str(messages.problem(message)).startswith(says)
