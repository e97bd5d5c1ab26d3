"""Targets: each is a channel of its own, however a person sets them apart."""

import pytest

from workers.notify import adapters


@pytest.mark.parametrize(
    "targets",
    [
        "json://a.example/x log://",
        "json://a.example/x,log://",
        "json://a.example/x, log://",
        "  json://a.example/x\nlog://  ",
    ],
)
def test_each_target_is_a_channel(monkeypatch: pytest.MonkeyPatch, targets: str) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", targets)
    assert adapters.targets() == {"target-1": "json://a.example/x", "target-2": "log://"}
    adapters.check_targets()


def test_a_comma_within_an_address_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = "mailto://user:pass@mail.example/?to=a@example.com,b@example.com"
    monkeypatch.setenv("NOTIFY_TARGETS", f"{mail},log://")
    assert list(adapters.targets().values()) == [mail, "log://"]


@pytest.mark.parametrize("url", ["json://a.example/x,json://b.example/y", "nonsense", "", "nosuch://x"])
def test_what_is_not_one_address_is_refused(url: str) -> None:
    with pytest.raises(adapters.AddressInvalid):
        adapters.check(url)


@pytest.mark.parametrize(
    "targets", ["json://a.example/x slack.com/hook", "log:// mailto:x@y", "json://a.example/x # pager"]
)
def test_a_word_that_is_no_target_is_named_not_swallowed(
    monkeypatch: pytest.MonkeyPatch, targets: str
) -> None:
    monkeypatch.setenv("NOTIFY_TARGETS", targets)
    with pytest.raises(adapters.TargetsInvalid, match="target 2"):
        adapters.check_targets()
