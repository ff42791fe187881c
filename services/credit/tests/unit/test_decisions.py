"""What the words of a penalty row mean to the rules, and lateness."""

from datetime import UTC, date, datetime

import pytest

from tulou_civics.calendar import WorkCalendar
from tulou_credit.domain.decisions import last_public_day, penalty_field, penalty_kinds
from tulou_credit.domain.publicity import Field, Penalty, PenaltyKind, publicity
from tulou_credit.domain.records import civil_date, days_late
from tulou_credit.intake.columns import PENALTY_CATEGORIES

EITHER = "暂扣或者吊销许可证、暂扣或者吊销执照"
CALENDAR = WorkCalendar.load()


def test_every_category_of_the_standard_has_a_kind_of_its_own_meaning() -> None:
    unclear = {category for category in PENALTY_CATEGORIES if penalty_kinds([category], content="") == {"OTHER"}}
    assert unclear == {"其他"}
    assert penalty_kinds(["其他-训诫", "警告"], content="") == {PenaltyKind.OTHER, PenaltyKind.WARNING}


def test_the_content_says_whether_a_licence_was_suspended_or_revoked() -> None:
    assert penalty_kinds([EITHER], content="吊销食品经营许可证") == {PenaltyKind.PERMIT_REVOCATION}
    assert penalty_kinds([EITHER], content="暂扣许可证三个月") == {PenaltyKind.PERMIT_SUSPENSION}


@pytest.mark.parametrize(
    ("basis", "field"),
    [
        ("《中华人民共和国食品安全法》第一百二十二条", Field.FOOD),
        ("《消防法》第六十条", Field.FIRE),
        ("《中华人民共和国大气污染防治法》", Field.ENVIRONMENT),
        ("《中华人民共和国广告法》", Field.OTHER),
    ],
)
def test_the_law_that_is_cited_gives_the_field(basis: str, field: Field) -> None:
    assert penalty_field(basis) is field


@pytest.mark.parametrize(
    ("decided", "told", "last"),
    [
        # CR-2023: three months to three years, and it ends at three years in any case.
        (date(2024, 1, 2), None, date(2027, 1, 2)),
        (date(2024, 1, 2), date(2024, 4, 1), date(2024, 4, 2)),
        (date(2024, 1, 2), date(2024, 4, 3), date(2024, 4, 3)),
        (date(2024, 1, 2), date(2027, 1, 3), date(2027, 1, 2)),
        # CR-2026: without correction only the department ends it.
        (date(2026, 4, 1), None, None),
        (date(2026, 4, 1), date(2026, 6, 30), date(2026, 7, 1)),
        (date(2026, 4, 1), date(2030, 1, 1), date(2030, 1, 1)),
    ],
)
def test_the_department_may_shorten_publicity_down_to_the_minimum(
    decided: date, told: date | None, last: date | None
) -> None:
    rules = publicity(Penalty(decided_on=decided, kinds=frozenset({PenaltyKind.FINE})), calendar=CALENDAR)
    assert last_public_day(rules, told=told) == last


@pytest.mark.parametrize(
    ("received", "late"),
    [
        (date(2024, 1, 2), 0),
        # The seventh working day after Tuesday, 2024-01-02.
        (date(2024, 1, 11), 0),
        (date(2024, 1, 12), 1),
        (date(2024, 1, 15), 2),
        # Before the decision: nothing is late.
        (date(2024, 1, 1), 0),
    ],
)
def test_a_decision_is_late_from_the_eighth_working_day_on(received: date, late: int) -> None:
    assert days_late(decided_on=date(2024, 1, 2), received_on=received, calendar=CALENDAR) == late


def test_a_decision_of_1949_is_late_without_bound_of_the_calendar() -> None:
    assert days_late(decided_on=date(1949, 10, 1), received_on=date(2024, 1, 2), calendar=CALENDAR) > 6000


def test_the_day_begins_at_midnight_in_zhangzhou() -> None:
    assert civil_date(datetime(2024, 1, 1, 15, 59, tzinfo=UTC)) == date(2024, 1, 1)
    assert civil_date(datetime(2024, 1, 1, 16, 0, tzinfo=UTC)) == date(2024, 1, 2)
