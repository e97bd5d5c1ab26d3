"""Whether a step helped, what is proposed, what people should see to."""

import pytest

from workers.wedding_day.rules.optimising import (
    Health,
    Policy,
    effect,
    findings,
    helped,
    limit_for,
    proposals,
)

POLICY = Policy()
ROWS = {"weddings": 50_000.0, "small": 40.0}
COLUMNS = {"weddings": ["id", "region", "starts_at", "status"], "small": ["region"]}


def _scan(table: str, condition: str) -> dict[str, object]:
    return {"Node Type": "Seq Scan", "Relation Name": table, "Filter": condition}


@pytest.mark.parametrize(
    ("before", "after", "says", "is_help"),
    [
        (100.0, 50.0, -0.5, True),
        (100.0, 91.0, -0.09, False),
        (100.0, 130.0, 0.3, False),
        (0.0, 5.0, 0.0, False),
    ],
)
def test_a_step_helped_when_its_operation_is_clearly_faster(
    before: float, after: float, says: float, is_help: bool
) -> None:
    assert effect(before, after) == pytest.approx(says)
    assert helped(before, after, POLICY) is is_help


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("(region = $1)", ["region"]),
        ("((starts_at < $2) AND (region = $1))", ["region", "starts_at"]),
        ("((starts_at < $2) AND (status <> 'cancelled'::text))", ["starts_at"]),
        ("((region)::text = ($1)::text)", ["region"]),
        ("(lower(note) = $1)", []),
        ("(other_region = $1)", []),
    ],
)
def test_an_index_is_proposed_for_what_a_large_table_is_searched_by(
    condition: str, columns: list[str]
) -> None:
    plan = {"Node Type": "Limit", "Plans": [_scan("weddings", condition)]}
    found = proposals(plan, ROWS, COLUMNS)
    assert [list(one.columns) for one in found] == ([columns] if columns else [])


def test_no_index_is_proposed_for_small_tables_or_what_follows_one() -> None:
    assert proposals(_scan("small", "(region = $1)"), ROWS, COLUMNS) == []
    index = {"Node Type": "Index Scan", "Relation Name": "weddings", "Filter": "(region = $1)"}
    assert proposals(index, ROWS, COLUMNS) == []
    twice = {"Node Type": "Append", "Plans": [_scan("weddings", "(region = $1)")] * 2}
    [one] = proposals(twice, ROWS, COLUMNS)
    assert one.statement == "CREATE INDEX CONCURRENTLY ON weddings (region)"


def test_a_supplier_gets_a_quarter_to_spare_in_fifties() -> None:
    assert [limit_for(many, POLICY) for many in (1, 40, 100)] == [50, 150, 400]


def test_what_people_should_see_to_is_named_with_the_remedy() -> None:
    assert findings(Health({}, [], 10, 100)) == []
    found = findings(Health({"outbox": 0.5}, [(7, 400.0, "psql"), (8, 900.0, "")], 85, 100))
    assert found[0].startswith("outbox: 50% of its rows are dead; VACUUM outbox")
    assert "process 7 (psql) holds a transaction for 400 s" in found[1]
    assert "(unnamed)" in found[2]
    assert found[3].startswith("85 of 100 connections are used")
