"""What a record says of its subject, and as what it counts in the grade."""

from datetime import date
from typing import Any

import pytest

from tulou_credit.domain.measures import Standing
from tulou_credit.domain.standings import GRADED, MOVING, ended_on, graded_kind, gravest, standing_of
from tulou_credit.seed.load import load_catalogue


@pytest.mark.parametrize(
    ("type_code", "severity", "content", "standing", "kind"),
    [
        ("HONOUR", None, {}, Standing.GOOD, "HONOUR"),
        ("SERIOUS_LIST", None, {}, Standing.SERIOUS, "SERIOUS_LIST"),
        ("ABNORMAL_LIST", None, {}, Standing.BAD, "ABNORMAL_LIST"),
        ("COMPLIANCE", None, {"duty": "税款"}, Standing.BAD, None),
        ("PENALTY", "MINOR", {}, None, "PENALTY_MINOR"),
        ("PENALTY", "GENERAL", {}, Standing.BAD, "PENALTY_GENERAL"),
        ("PENALTY", "SERIOUS", {}, Standing.BAD, "PENALTY_SERIOUS"),
        ("PENALTY", "SPECIALLY_SERIOUS", {}, Standing.BAD, "PENALTY_SERIOUS"),
        ("PENALTY", None, {}, None, None),
        ("PROMISE", None, {"kept": True}, None, "PROMISE_KEPT"),
        ("PROMISE", None, {"kept": False}, Standing.BAD, "PROMISE_BROKEN"),
        ("PROMISE", None, {}, None, None),
        ("JUDGMENT", None, {"performance": "未履行"}, Standing.BAD, "JUDGMENT_UNEXECUTED"),
        ("JUDGMENT", None, {"performance": "拒不履行"}, Standing.BAD, "JUDGMENT_UNEXECUTED"),
        ("JUDGMENT", None, {"performance": "部分履行"}, Standing.BAD, "JUDGMENT_UNEXECUTED"),
        ("JUDGMENT", None, {"performance": "已履行完毕"}, None, None),
        ("JUDGMENT", None, {}, None, None),
        ("CONTRACT", None, {"performance": "已履行"}, None, "CONTRACT_FULFILLED"),
        ("CONTRACT", None, {"performance": "未履行"}, None, None),
        ("CONTRACT", None, {"performance": "违约"}, None, None),
        ("VOLUNTARY", None, {}, None, "VOLUNTEERED"),
        ("LICENCE", None, {}, None, None),
        ("REFUSAL", None, {}, None, None),
    ],
)
def test_a_record_gives_a_standing_and_counts_as_a_kind(
    type_code: str, severity: str | None, content: dict[str, Any], standing: Standing | None, kind: str | None
) -> None:
    assert standing_of(type_code, severity=severity, content=content) == standing
    assert graded_kind(type_code, severity=severity, content=content) == kind
    assert standing is None or type_code in MOVING
    assert kind is None or type_code in GRADED


def test_what_moves_and_what_is_graded_is_in_the_catalogue() -> None:
    assert {each.code for each in load_catalogue()} >= set(GRADED)


def test_a_removal_or_a_settlement_is_an_end() -> None:
    assert ended_on({"removed_on": "2026-05-06"}) == ended_on({"settled_on": "2026-05-06"}) == date(2026, 5, 6)
    assert ended_on({"listed_on": "2026-05-06"}) is None


@pytest.mark.parametrize(
    ("standings", "expected"),
    [
        ([], "NONE"),
        ([Standing.GOOD], "GOOD"),
        ([Standing.GOOD, Standing.BAD], "BAD"),
        ([Standing.BAD, Standing.SERIOUS, Standing.GOOD], "SERIOUS"),
    ],
)
def test_the_gravest_record_gives_the_standing(standings: list[Standing], expected: str) -> None:
    assert gravest(standings) == expected
