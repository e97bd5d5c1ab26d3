"""Errors say what happened and what to do."""

from workers.foundation.errors import ExpectedError


class PotOverflows(ExpectedError):
    """pot {name!r} overflows; take the lid off"""


def test_the_docstring_is_the_message_and_the_name_the_reason() -> None:
    error = PotOverflows(name="milk")
    assert str(error) == "pot 'milk' overflows; take the lid off"
    assert error.reason == "pot_overflows"
    assert error.facts == {"name": "milk"}
