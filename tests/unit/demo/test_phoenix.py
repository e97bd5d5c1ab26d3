"""The demo's wire."""

import pytest

from demo import limits, phoenix


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_what_was_written_is_read(version: str) -> None:
    frame = phoenix.Frame("realtime:a", "broadcast", {"x": 1}, "2", "1")
    text = frame.write(version)
    assert text
    assert phoenix.read(text) == frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "[]",
        '{"topic": 1, "event": "x"}',
        b"\xff",
        b"\x03\x01",
        b"\x03" + bytes([255] * 5) + b"\x01" + b"x",
        bytes([3, 0, 0, 1, 1, 0, 1]) + b"te{",
        '{"topic":"t","event":"e","payload":' + '{"a":' * 300 + "1" + "}" * 301,
    ],
)
def test_what_is_no_message_is_none(text: str | bytes) -> None:
    assert phoenix.read(text) is None


def test_a_binary_broadcast_is_read_and_told_in_kind() -> None:
    names = b"1", b"7", "realtime:caf\u00e9".encode(), b"cake", b""
    head = bytes([3, *map(len, names), 0])
    frame = phoenix.read(head + b"".join(names) + b"\x00\xff")
    said = {"type": "broadcast", "event": "cake", "payload": b"\x00\xff"}
    assert frame == phoenix.Frame("realtime:caf\u00e9", "broadcast", said, "7", "1")
    assert frame.write("1.0.0") is None
    assert frame.write("2.0.0") == bytes([4, len(names[2]), 4, 0, 0]) + names[2] + b"cake\x00\xff"


def test_a_share_fills_up_again_and_who_takes_more_has_none() -> None:
    share = limits.Allowance()
    assert all(share.spend(10, 0.0) for _ in range(100))
    assert not share.spend(10, 0.0)
    assert share.spend(10, 10.0)
    assert not share.spend(int(limits.BYTES_AT_ONCE) + 1, 20.0)


def test_who_is_in_too_many_topics_or_tracks_too_much_is_told() -> None:
    join, track = (phoenix.Frame("realtime:a", event) for event in (phoenix.JOIN, phoenix.PRESENCE))
    assert limits.problem(join, 10, limits.TOPICS - 1) == ""
    assert "too many topics" in limits.problem(join, 10, limits.TOPICS)
    assert limits.problem(track, limits.PRESENCE, 1) == ""
    assert "too large" in limits.problem(track, limits.PRESENCE + 1, 1)


def test_pages_that_may_connect_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert limits.origins() is None
    monkeypatch.setenv("GATEWAY_ORIGINS", "https://a.example https://b.example")
    assert limits.origins() == [None, "https://a.example", "https://b.example"]
