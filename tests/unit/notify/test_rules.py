"""What is told is short and has no secret in it."""

import pytest

from workers.notify.rules import Policy, safe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("redis://:hunter2@10.0.0.1:6379 is away", "redis://…@10.0.0.1:6379 is away"),
        ("postgresql://wedops:hunter2@db/wedops", "postgresql://…@db/wedops"),
        ("refused: token=hunter2, twice", "refused: token=… twice"),
        ("Authorization: hunter2", "Authorization: …"),
        ("Authorization: Bearer hunter2 was refused", "Authorization: … was refused"),
        ("PGPASSWORD=hunter2 access_token=hunter2", "PGPASSWORD=… access_token=…"),
        ('{"password": "hunter2"}', '{"password": …}'),
        ("redis://:hun/ter@2@host", "redis://…@host"),
        ("https://hooks.slack.com/services/T/B/hunter2 is away", "https://hooks.… is away"),
        ("who@example.com is no login", "who@example.com is no login"),
    ],
)
def test_logins_and_tokens_are_left_out(text: str, told: str) -> None:
    assert safe(text, 100) == told


def test_what_is_long_is_cut() -> None:
    assert safe("x" * 200, 10) == "xxxxxxxxx…"


def test_telling_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one target"):
        Policy(targets=" ")
