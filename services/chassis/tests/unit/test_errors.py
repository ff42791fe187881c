"""Which answer an exception gets, and what of it a caller is told."""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from google.rpc.status_pb2 import Status
from psycopg.errors import AdminShutdown, DiskFull, UndefinedTable
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError

from tulou_chassis.errors import (
    COMMON_ANSWERS,
    INTERNAL,
    INVALID,
    MAX_TEXT,
    MAX_VIOLATIONS_BYTES,
    STALE,
    TOKEN_MISSING,
    TOO_SLOW,
    UNAVAILABLE,
    Answer,
    Refusal,
    answer_for,
    status_for,
)
from tulou_chassis.locales import EN, ZH
from tulou_chassis.violations import InvalidFields, StaleEtag, Violation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Closed(Exception):
    """A service's refusal."""

    def __init__(self, door: object = "", **others: object) -> None:
        super().__init__("not for callers")
        self.door = door
        vars(self).update(others)


class Locked(Closed):
    """A more specific one."""


class Unreachable(ConnectionError):
    """A service's exception of a kind that has a common answer."""


def answer(reason: str) -> Answer:
    return Answer(
        grpc.StatusCode.FAILED_PRECONDITION, reason, "门 {door} 已锁。", "Door {door} is shut.", "house.tulou"
    )


CLOSED, LOCKED = answer("CLOSED"), answer("LOCKED")
ANSWERS: Mapping[type[Exception], Answer] = {Locked: LOCKED, Closed: CLOSED}


@dataclass
class Told:
    """A status, unpacked."""

    status: Status
    info: ErrorInfo = field(default_factory=ErrorInfo)
    local: LocalizedMessage = field(default_factory=LocalizedMessage)
    bad: BadRequest = field(default_factory=BadRequest)


def told(error: Exception, answer: Answer, locale: str = ZH) -> Told:
    found = Told(status_for(error, answer, locale=locale, trace_id=TRACE))
    for detail in found.status.details:
        [kind] = [kind for kind in (found.info, found.local, found.bad) if detail.Is(kind.DESCRIPTOR)]
        detail.Unpack(kind)
    return found


def dbapi(kind: type[DBAPIError], *, broken: bool = False) -> DBAPIError:
    error = kind("INSERT INTO person VALUES (?)", {"number": "secret"}, Exception("secret"))
    error.connection_invalidated = broken
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (InvalidFields([]), INVALID),
        (StaleEtag("v7"), STALE),
        (StaleDataError("UPDATE"), STALE),
        (TimeoutError(), TOO_SLOW),
        (PoolTimeout(), UNAVAILABLE),
        (dbapi(OperationalError), UNAVAILABLE),
        (dbapi(InterfaceError), UNAVAILABLE),
        (ConnectionResetError(), UNAVAILABLE),
        (dbapi(IntegrityError), INTERNAL),
        (OSError(), INTERNAL),
        (KeyError("door"), INTERNAL),
    ],
    ids=lambda value: value.reason if isinstance(value, Answer) else type(value).__name__,
)
def test_a_common_exception_has_its_answer(error: Exception, expected: Answer) -> None:
    assert answer_for(error, ANSWERS) is expected


@pytest.mark.parametrize(
    ("state", "expected"), [(DiskFull, UNAVAILABLE), (AdminShutdown, UNAVAILABLE), (UndefinedTable, INTERNAL)]
)
def test_a_database_that_cannot_now_may_be_asked_again(state: type[Exception], expected: Answer) -> None:
    assert answer_for(DBAPIError("INSERT", {}, state()), ANSWERS) is expected


def test_a_full_disk_may_be_asked_again() -> None:
    assert answer_for(OSError(errno.ENOSPC, "No space left on device"), ANSWERS) is UNAVAILABLE


def test_the_most_specific_answer_of_the_service_is_taken() -> None:
    assert answer_for(Locked(), ANSWERS) is LOCKED
    assert answer_for(Closed(), ANSWERS) is CLOSED


def test_no_common_answer_hides_a_more_specific_one() -> None:
    kinds = list(COMMON_ANSWERS)
    for place, kind in enumerate(kinds):
        assert not any(issubclass(later, kind) for later in kinds[place + 1 :])


def test_the_services_answer_goes_before_a_common_one() -> None:
    assert answer_for(Unreachable(), {}) is UNAVAILABLE
    assert answer_for(Unreachable(), {Unreachable: CLOSED}) is CLOSED
    assert answer_for(StaleEtag("v7"), {StaleEtag: CLOSED}) is CLOSED


def test_the_chassis_own_refusal_goes_before_everything() -> None:
    assert answer_for(Refusal(TOKEN_MISSING), {Exception: CLOSED}) is TOKEN_MISSING


@pytest.mark.parametrize("kind", [DBAPIError, IntegrityError])
def test_a_connection_that_broke_is_unavailable_whatever_the_class(kind: type[DBAPIError]) -> None:
    assert answer_for(dbapi(kind, broken=True), {IntegrityError: CLOSED}) is UNAVAILABLE
    assert answer_for(dbapi(kind), {kind: CLOSED}) is CLOSED


def test_the_message_is_english_and_the_local_one_in_the_callers_language() -> None:
    for locale, sentence in ((ZH, "门 东门 已锁。"), (EN, "Door 东门 is shut.")):
        found = told(Closed("东门"), CLOSED, locale)
        assert found.status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        assert found.status.message == "Door 东门 is shut."
        assert (found.local.locale, found.local.message) == (locale, sentence)
        assert (found.info.reason, found.info.domain) == ("CLOSED", "house.tulou")


def test_facts_are_the_attributes_of_the_services_own_exception() -> None:
    error = Closed("东门", keys=["k1", "k2"], count=3, _hidden="secret")
    error.add_note("secret")
    found = told(error, CLOSED)
    assert dict(found.info.metadata) == {"door": "东门", "keys": "k1,k2", "count": "3"}
    assert "secret" not in str(found)


def test_an_attribute_in_braces_is_told_as_it_is() -> None:
    assert told(Closed("{keys}"), CLOSED).status.message == "Door {keys} is shut."


@pytest.mark.parametrize("error", [dbapi(OperationalError), Unreachable("secret"), StaleDataError("secret")])
def test_of_any_other_exception_nothing_is_told(error: Exception) -> None:
    vars(error)["more"] = "secret"
    found = told(error, answer_for(error, ANSWERS))
    assert dict(found.info.metadata) == {}
    assert "secret" not in str(found)
    assert "INSERT" not in str(found)


def test_what_a_refusal_of_the_chassis_names_is_told() -> None:
    assert dict(told(Refusal(TOKEN_MISSING, method="/house/Read"), TOKEN_MISSING).info.metadata) == {
        "method": "/house/Read"
    }
    assert dict(told(StaleEtag("v7"), STALE).info.metadata) == {"etag": "v7"}


def test_an_internal_failure_tells_its_trace_id_and_nothing_else() -> None:
    found = told(Closed("secret"), INTERNAL)
    assert dict(found.info.metadata) == {"trace_id": TRACE}
    assert (found.status.message, found.local.message) == ("The service failed.", "服务内部错误。")
    assert "secret" not in str(found)


def test_long_texts_are_cut() -> None:
    found = told(Closed("门" * 10_000, keys=["k" * 150] * 2), CLOSED)
    assert found.info.metadata["door"] == "门" * MAX_TEXT
    assert len(found.info.metadata["keys"]) == MAX_TEXT
    assert found.local.message == f"门 {'门' * MAX_TEXT} 已锁。"


def test_violations_are_told_in_the_callers_language() -> None:
    error = InvalidFields([Violation("case.phone", "pattern", "11 位数字", "11 digits")])
    for locale, sentence in ((ZH, "11 位数字"), (EN, "11 digits")):
        found = told(error, INVALID, locale)
        assert [(one.field, one.reason, one.description) for one in found.bad.field_violations] == [
            ("case.phone", "pattern", sentence)
        ]
        assert dict(found.info.metadata) == {}


def test_without_violations_there_is_no_list_of_them() -> None:
    assert len(told(Closed(), CLOSED).status.details) == 2


def test_violations_are_cut_and_as_many_as_surely_arrive() -> None:
    def many(count: int, text: str) -> Any:
        violations = [Violation(f"{number}.{text}", "rule", text, text) for number in range(count)]
        return told(InvalidFields(violations), INVALID).bad

    long = many(50, "𠮷" * 1_000)
    assert {len(one.field) for one in long.field_violations} == {MAX_TEXT}
    assert {len(one.description) for one in long.field_violations} == {MAX_TEXT}
    assert 1 <= len(long.field_violations) < 50
    short = many(500, "name")
    assert 50 < len(short.field_violations) < 500
    for bad in (long, short):
        assert bad.ByteSize() <= MAX_VIOLATIONS_BYTES
        # The first ones, in their order.
        assert [one.field.partition(".")[0] for one in bad.field_violations] == [
            str(number) for number in range(len(bad.field_violations))
        ]
    assert len(many(50, "name").field_violations) == 50
