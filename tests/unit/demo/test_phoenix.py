"""The demo's wire."""

import pytest

from demo import phoenix


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_what_was_written_is_read(version: str) -> None:
    frame = phoenix.Frame("realtime:a", "broadcast", {"x": 1}, "2", "1")
    assert phoenix.read(frame.write(version)) == frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "[]",
        '{"topic": 1, "event": "x"}',
        b"\xff",
        '{"topic":"t","event":"e","payload":' + '{"a":' * 300 + "1" + "}" * 301,
    ],
)
def test_what_is_no_message_is_none(text: str | bytes) -> None:
    assert phoenix.read(text) is None
