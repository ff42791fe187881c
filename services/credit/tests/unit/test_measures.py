"""Which incentives and restrictions apply, by which records, and which measures cannot be."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_credit.domain.measures import (
    Measure,
    MeasureFault,
    MeasureKind,
    MeasureNotConfigurable,
    Standing,
    StandingRecord,
    check,
)

DAY = timedelta(days=1)
TODAY = date(2026, 6, 1)

FAST_LANE = Measure(
    code="FAST_LANE",
    kind=MeasureKind.INCENTIVE,
    standing=Standing.GOOD,
    purposes=frozenset({"APPROVAL", "PROCUREMENT"}),
    zh="优先办理、简化程序",
    en="Priority and simplified procedure",
    legal_basis="《上海市社会信用条例》第二十九条",
    published_on=date(2026, 1, 1),
)
KEY_REVIEW = replace(
    FAST_LANE,
    code="KEY_REVIEW",
    kind=MeasureKind.RESTRICTION,
    standing=Standing.BAD,
    purposes=frozenset({"APPROVAL"}),
)
NO_PROMISE = replace(KEY_REVIEW, code="NO_PROMISE")
MARKET_BAN = replace(KEY_REVIEW, code="MARKET_BAN", standing=Standing.SERIOUS)
MEASURES = (MARKET_BAN, NO_PROMISE, FAST_LANE, KEY_REVIEW)

GOOD = StandingRecord("good", Standing.GOOD, TODAY)
BAD = StandingRecord("bad", Standing.BAD, TODAY)
SERIOUS = StandingRecord("serious", Standing.SERIOUS, TODAY)


def applied(*records: StandingRecord, purpose: str = "APPROVAL", on: date = TODAY) -> dict[str, tuple[str, ...]]:
    found = check(records, purpose=purpose, measures=MEASURES, on=on)
    return {each.measure.code: each.record_ids for each in found}


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        pytest.param([], {}, id="nothing known"),
        pytest.param([GOOD], {"FAST_LANE": ("good",)}, id="good"),
        pytest.param([BAD], {"KEY_REVIEW": ("bad",), "NO_PROMISE": ("bad",)}, id="bad"),
        pytest.param([GOOD, BAD], {"KEY_REVIEW": ("bad",), "NO_PROMISE": ("bad",)}, id="bad closes the fast lane"),
        pytest.param(
            [SERIOUS],
            {"KEY_REVIEW": ("serious",), "MARKET_BAN": ("serious",), "NO_PROMISE": ("serious",)},
            id="serious is bad too",
        ),
        pytest.param(
            [SERIOUS, GOOD, BAD],
            {"KEY_REVIEW": ("bad", "serious"), "MARKET_BAN": ("serious",), "NO_PROMISE": ("bad", "serious")},
            id="each measure names its own records",
        ),
    ],
)
def test_measures_apply_by_the_records_that_call_for_them(
    records: list[StandingRecord], expected: dict[str, tuple[str, ...]]
) -> None:
    assert applied(*records) == expected


def test_a_repair_opens_the_fast_lane_again_on_its_day() -> None:
    penalty = replace(BAD, lifted_on=TODAY + 100 * DAY)

    assert "FAST_LANE" not in applied(GOOD, penalty, on=TODAY + 99 * DAY)
    assert applied(GOOD, penalty, on=TODAY + 100 * DAY) == {"FAST_LANE": ("good",)}


def test_a_record_counts_from_its_day() -> None:
    assert applied(BAD, on=TODAY - DAY) == {}


def test_a_measure_applies_for_its_purposes_only() -> None:
    assert applied(GOOD, purpose="PROCUREMENT") == {"FAST_LANE": ("good",)}
    assert applied(SERIOUS, BAD, purpose="PROCUREMENT") == {}
    assert applied(GOOD, purpose="LOAN") == {}


@pytest.mark.parametrize(
    ("on", "applies"),
    [
        (date(2025, 12, 31), False),
        (date(2026, 1, 1), True),
        (date(2026, 6, 30), True),
        (date(2026, 7, 1), False),
    ],
)
def test_a_measure_applies_only_while_it_is_on_the_published_list(on: date, applies: bool) -> None:
    listed = replace(FAST_LANE, withdrawn_on=date(2026, 6, 30))
    known_since_long = replace(GOOD, counts_from=date(2020, 1, 1))

    assert bool(check([known_since_long], purpose="APPROVAL", measures=[listed], on=on)) is applies


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"legal_basis": ""}, MeasureFault.NO_LEGAL_BASIS),
        ({"legal_basis": "  "}, MeasureFault.NO_LEGAL_BASIS),
        ({"published_on": None}, MeasureFault.NOT_PUBLISHED),
        ({"purposes": frozenset()}, MeasureFault.NO_PURPOSE),
        ({"code": ""}, MeasureFault.NO_CODE),
        ({"standing": Standing.BAD}, MeasureFault.WRONG_STANDING),
        ({"kind": MeasureKind.RESTRICTION}, MeasureFault.WRONG_STANDING),
    ],
)
def test_a_measure_that_must_not_be_applied_cannot_be_configured(
    change: dict[str, object], fault: MeasureFault
) -> None:
    with pytest.raises(MeasureNotConfigurable) as refusal:
        replace(FAST_LANE, **change)  # type: ignore[arg-type]

    assert refusal.value.faults == (fault,)


def test_every_fault_of_a_measure_is_told_at_once() -> None:
    with pytest.raises(MeasureNotConfigurable) as refusal:
        replace(FAST_LANE, legal_basis="", published_on=None)

    assert refusal.value.faults == (MeasureFault.NO_LEGAL_BASIS, MeasureFault.NOT_PUBLISHED)


RECORDS = st.lists(
    st.builds(
        StandingRecord,
        record_id=st.sampled_from(["r1", "r2", "r3", "r4"]),
        standing=st.sampled_from(Standing),
        counts_from=st.dates(TODAY - 3 * DAY, TODAY + 3 * DAY),
        lifted_on=st.none() | st.dates(TODAY - 3 * DAY, TODAY + 3 * DAY),
    ),
    max_size=6,
)


@given(RECORDS)
def test_the_order_of_records_and_measures_does_not_matter(records: list[StandingRecord]) -> None:
    backwards = check(records[::-1], purpose="APPROVAL", measures=MEASURES[::-1], on=TODAY)

    assert backwards == check(records, purpose="APPROVAL", measures=MEASURES, on=TODAY)


@given(RECORDS)
def test_nobody_is_favoured_and_restricted_at_once_and_every_measure_has_its_records(
    records: list[StandingRecord],
) -> None:
    found = check(records, purpose="APPROVAL", measures=MEASURES, on=TODAY)

    assert len({each.measure.kind for each in found}) <= 1
    assert all(each.record_ids for each in found)
