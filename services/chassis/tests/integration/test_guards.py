"""What every call passes through: who calls, what may be asked, how failures are told, and what is written of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm.exc import StaleDataError
from structlog.testing import capture_logs

from services.chassis.tests.house import EchoRequest, EchoResponse, WriteRequest
from services.chassis.tests.integration.served import DoorLocked, Refused, Served, write
from tulou_chassis import guards
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.violations import InvalidFields, StaleEtag, Violation

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The guards know no database; that there is one is enough."""
    return f"sqlite:///{tmp_path_factory.mktemp('guards')}/chassis.db"


def raising(error: BaseException) -> Any:
    async def do(_: Any) -> None:
        raise error

    return do


async def refusal(house: Served, rpc: str, message: Any = None, **arguments: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        await house.call(rpc, message, **arguments)
    return refused.value


async def test_a_call_is_answered(house: Served) -> None:
    assert (await house.call("Echo")).text == "hello"
    assert (await house.call("Echo", roles=())).text == "hello"


async def test_a_token_that_is_there_must_be_good_where_none_is_needed_too(house: Served) -> None:
    for header in ("Bearer x", "Bearer ", "Basic dXNlcjpwdw==", house.token("clerk"), "bearer"):
        refused = await refusal(house, "Echo", roles=(), headers={"authorization": header})
        assert (refused.code, refused.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID")
    good = {"authorization": f"bearer {house.token('clerk')}"}
    assert (await house.call("Echo", roles=(), headers=good)).text == "hello"


async def test_roles_open_what_the_proto_says(house: Served) -> None:
    assert (await refusal(house, "Read", roles=())).info.reason == "TOKEN_MISSING"
    refused = await refusal(house, "Read", roles=("citizen", "auditor"))
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_NOT_ALLOWED")
    assert refused.info.domain == "tulou"
    assert refused.info.metadata["method"].endswith("HouseService/Read")
    for roles in (("clerk",), ("admin",), ("citizen", "admin")):
        assert (await house.call("Read", roles=roles)).text == "hello"


async def test_what_has_no_rule_is_denied_to_everyone(house: Served) -> None:
    assert (await refusal(house, "NoRule", roles=())).info.reason == "TOKEN_MISSING"
    everything = ("citizen", "clerk", "admin", "operator", "unspecified", "")
    assert (await refusal(house, "NoRule", roles=everything)).info.reason == "ROLE_NOT_ALLOWED"


async def test_what_is_not_there_is_not_implemented(house: Served) -> None:
    assert (await refusal(house, "Nothing")).code is grpc.StatusCode.UNIMPLEMENTED


async def test_the_handler_knows_who_calls(house: Served) -> None:
    async def who(_: Any) -> Any:
        return EchoResponse(text=f"{current_principal().subject} {current_principal().region}")

    house.does["Read"] = who
    assert (await house.call("Read")).text == "user-1 3506"
    house.does["Echo"] = who
    # No principal is a mistake in the handler, so it is told as one.
    assert (await refusal(house, "Echo", roles=())).code is grpc.StatusCode.INTERNAL


async def test_callers_do_not_mix(house: Served) -> None:
    async def who(_: Any) -> Any:
        before = current_principal().subject
        await asyncio.sleep(0.01)
        assert current_principal().subject == before
        return EchoResponse(text=before)

    house.does["Read"] = who
    headers = [{"authorization": f"Bearer {house.token('clerk', subject=f'user-{n}')}"} for n in range(20)]
    answers = await asyncio.gather(*(house.call("Read", roles=(), headers=one) for one in headers))
    assert [answer.text for answer in answers] == [f"user-{n}" for n in range(20)]


async def test_fields_are_checked_only_after_the_caller(house: Served) -> None:
    bad = EchoRequest(text="x" * 101)
    assert (await refusal(house, "Read", bad, roles=("citizen",))).info.reason == "ROLE_NOT_ALLOWED"
    refused = await refusal(house, "Read", bad)
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [(one.field, one.reason, one.description) for one in refused.bad.field_violations] == [
        ("text", "max_length", "不得超过 100 个字符。")
    ]


async def test_what_cannot_be_read_is_the_callers_mistake(house: Served) -> None:
    for content in (b"\xff\xff\xff", b"\x0a\x7f", b"\x0a\x02\xff\xfe"):
        refused = await refusal(house, "Read", content)
        assert (refused.code, refused.info.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
        assert "Error" not in refused.message
        with pytest.raises(Refused) as streamed:
            [text async for text in house.count(content)]
        assert streamed.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert (await refusal(house, "Read", b"\xff", roles=())).info.reason == "TOKEN_MISSING"


async def test_a_stream_is_read_and_written(house: Served) -> None:
    assert [text async for text in house.count(EchoRequest(text="3"))] == ["0", "1", "2"]

    async def some(*messages: Any) -> AsyncIterator[Any]:
        for message in messages:
            yield message

    assert await house.collect(some(EchoRequest(text="a"), EchoRequest(text="b"))) == "a,b"
    assert await house.collect(some()) == ""
    with pytest.raises(Refused) as refused:
        await house.collect(some(EchoRequest(text="a"), b"\xff"))
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_failure_in_the_middle_of_a_stream_is_told_like_any_other(house: Served) -> None:
    async def fail_at_two(number: int) -> None:
        if number == 2:
            raise DoorLocked("东门")

    house.does["Count"] = fail_at_two
    answers = house.count(EchoRequest(text="9"))
    assert [await anext(answers), await anext(answers)] == ["0", "1"]
    with pytest.raises(Refused) as refused:
        await anext(answers)
    assert refused.value.info.reason == "DOOR_LOCKED"


async def test_a_refusal_of_the_service_is_told_in_the_callers_language(house: Served) -> None:
    house.does["Echo"] = raising(DoorLocked("东门"))
    refused = await refusal(house, "Echo")
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (refused.info.reason, refused.info.domain) == ("DOOR_LOCKED", "house.tulou")
    assert dict(refused.info.metadata) == {"door": "东门"}
    assert refused.message == "Door 东门 is locked."
    assert (refused.local.locale, refused.local.message) == ("zh-CN", "门 东门 已锁。")
    for accepted, locale in (
        ("en", "en"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("zh-TW, en", "zh-CN"),
        ("fr, en", "en"),
        ("fr", "zh-CN"),
        ("*", "zh-CN"),
        (";;,,", "zh-CN"),
    ):
        refused = await refusal(house, "Echo", headers={"accept-language": accepted})
        assert refused.local.locale == locale, accepted
    assert (await refusal(house, "Echo", headers={"accept-language": "en"})).local.message == "Door 东门 is locked."


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the secret is 350602199003070036"),
        KeyError("secret"),
        AssertionError("secret"),
        LookupError("secret"),
        ExceptionGroup("secret", [ValueError("secret")]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_an_unexpected_failure_is_told_in_fixed_words_and_logged_in_its_own(
    house: Served, error: Exception
) -> None:
    house.does["Echo"] = raising(error)
    with capture_logs() as logs:
        refused = await refusal(house, "Echo", headers=PARENT)
    assert (refused.code, refused.message) == (grpc.StatusCode.INTERNAL, "The service failed.")
    assert refused.info.reason == "INTERNAL"
    assert dict(refused.info.metadata) == {"trace_id": TRACE}
    for text in (str(refused.info), str(refused.local), refused.message):
        assert "secret" not in text
    [line] = [one for one in logs if one["event"] == "call"]
    assert line["log_level"] == "error"
    assert line["exc_info"] is error


async def test_a_trace_id_is_there_without_a_caller_that_gives_one(house: Served) -> None:
    house.does["Echo"] = raising(RuntimeError())
    refused = await refusal(house, "Echo")
    assert len(refused.info.metadata["trace_id"]) == 32


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("select secret", {}, Exception("secret")),
        InterfaceError("select secret", {}, Exception("secret")),
        DBAPIError("select secret", {}, Exception("secret"), connection_invalidated=True),
        PoolTimeout("secret"),
        ConnectionRefusedError("secret"),
        ConnectionResetError("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_database_that_does_not_answer_is_told_as_unavailable(house: Served, error: Exception) -> None:
    house.does["Echo"] = raising(error)
    refused = await refusal(house, "Echo")
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE")
    assert "secret" not in str(refused.info) + str(refused.local) + refused.message


async def test_a_stale_row_is_told_with_the_etag_to_read(house: Served) -> None:
    house.does["Echo"] = raising(StaleEtag("v7"))
    refused = await refusal(house, "Echo")
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.ABORTED, "ETAG_STALE")
    assert dict(refused.info.metadata) == {"etag": "v7"}
    house.does["Echo"] = raising(StaleDataError("UPDATE secret"))
    assert (await refusal(house, "Echo")).code is grpc.StatusCode.ABORTED


async def test_an_error_is_never_too_large_to_arrive(house: Served) -> None:
    long = [Violation(f"form.{'字' * 300}[{n}]", "rule", "长" * 300, "long" * 300) for n in range(50)]
    house.does["Echo"] = raising(InvalidFields(long))
    refused = await refusal(house, "Echo")
    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.info.reason == "INVALID_FIELD"
    assert refused.bad.field_violations[0].field.startswith("form.字")
    house.does["Echo"] = raising(DoorLocked("门" * 100_000))
    refused = await refusal(house, "Echo")
    assert refused.info.reason == "DOOR_LOCKED"
    assert refused.info.metadata["door"].startswith("门门")


async def test_a_handler_that_takes_too_long_is_ended(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = asyncio.Event()

    async def sleep(_: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    house.does["Echo"] = sleep
    monkeypatch.setattr(guards, "MAX_SECONDS", 0.1)
    refused = await refusal(house, "Echo")
    assert (refused.code, refused.info.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert ended.is_set()


async def test_the_callers_deadline_ends_the_handler_too(house: Served) -> None:
    ended = asyncio.Event()

    async def sleep(_: Any) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    house.does["Echo"] = sleep
    refused = await refusal(house, "Echo", patience=0.2)
    assert refused.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.wait_for(ended.wait(), 5)


async def test_a_client_stream_that_stands_still_is_ended(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MAX_UPLOAD_SECONDS", 0.1)

    async def silent() -> AsyncIterator[Any]:
        yield EchoRequest(text="a")
        await asyncio.sleep(60)

    with pytest.raises(Refused) as refused:
        await house.collect(silent())
    assert refused.value.info.reason == "DEADLINE_EXCEEDED"


async def test_a_server_stream_has_no_deadline_but_its_own(house: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "MAX_SECONDS", 0.05)

    async def pause(_: Any) -> None:
        await asyncio.sleep(0.1)

    house.does["Count"] = pause
    assert [text async for text in house.count(EchoRequest(text="2"))] == ["0", "1"]


async def test_a_line_is_written_of_every_call_and_nothing_of_its_content(house: Served) -> None:
    with capture_logs() as logs:
        await house.call("Read", EchoRequest(text="13850612345"))
        await refusal(house, "Read", EchoRequest(text="13850612345" * 10))
        await refusal(house, "Read", roles=())
        [text async for text in house.count(EchoRequest(text="1"))]
    lines = [line for line in logs if line["event"] == "call"]
    assert [(line["method"].rpartition("/")[2], line["code"], line["subject"]) for line in lines] == [
        ("Read", "OK", "user-1"),
        ("Read", "INVALID_ARGUMENT", "user-1"),
        ("Read", "UNAUTHENTICATED", ""),
        ("Count", "OK", "user-1"),
    ]
    assert all(line["ms"] >= 0 and line["log_level"] == "info" for line in lines)
    assert "13850612345" not in json.dumps(logs, default=str)


async def test_a_caller_that_goes_away_is_logged_as_such(house: Served) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def sleep(_: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    house.does["Read"] = sleep
    with capture_logs() as logs:
        call = asyncio.create_task(house.call("Read"))
        await begun.wait()
        call.cancel()
        await asyncio.wait_for(ended.wait(), 5)
        await asyncio.sleep(0)
    assert [line["code"] for line in logs if line["event"] == "call"] == ["CANCELLED"]


async def test_a_write_is_noted_under_its_request_id(house: Served) -> None:
    seen = []

    async def note(_: Any) -> Any:
        seen.append(CURRENT.get().idempotency)
        return EchoResponse()

    house.does["Write"] = house.does["Read"] = note
    request = write("a")
    await house.call("Write", request)
    await house.call("Write", write("b", request.request_id))
    await house.call("Read")
    first, second, read = seen
    assert (first.subject, first.request_id, first.method.rpartition("/")[2]) == ("user-1", request.request_id, "Write")
    assert first.payload_hash != second.payload_hash
    assert read is None


async def test_a_write_without_a_request_id_is_refused(house: Served) -> None:
    refused = await refusal(house, "Write", WriteRequest(text="a"))
    assert [(one.field, one.reason) for one in refused.bad.field_violations] == [("request_id", "required")]
