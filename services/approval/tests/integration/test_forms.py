"""Each field of a form that does not fit is named, in the caller's language."""

import math
from typing import Any

import grpc
import pytest
from google.protobuf.struct_pb2 import Struct

from services.approval.tests.office import CITIZEN, FORM, ON_THE_SPOT, Office, Refused, application, request, state_of


def refused(office: Office, form: dict[str, Any], lang: str = "") -> Refused:
    """How the case is refused when it is submitted with the form."""
    draft = office.draft(item_code=ON_THE_SPOT, form=form)
    with pytest.raises(Refused) as caught:
        office.ask("SubmitCase", by=CITIZEN, lang=lang, case_id=draft.id, etag=draft.etag)
    return caught.value


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"shop": ""}, {"case.form.shop": "minLength"}),
        ({"shop": "字" * 21}, {"case.form.shop": "maxLength"}),
        ({"shop": 7}, {"case.form.shop": "type"}),
        ({"shop": None}, {"case.form.shop": "type"}),
        ({"area": 0}, {"case.form.area": "minimum"}),
        ({"area": 5001}, {"case.form.area": "maximum"}),
        ({"area": 1.5}, {"case.form.area": "type"}),
        ({"area": 1e300}, {"case.form.area": "maximum"}),
        ({"area": -1e300}, {"case.form.area": "minimum"}),
        ({"area": "60"}, {"case.form.area": "type"}),
        ({"owner": {}}, {"case.form.owner.name": "required"}),
        ({"owner": {"name": ""}}, {"case.form.owner.name": "minLength"}),
        ({"owner": []}, {"case.form.owner": "type"}),
        ({"dishes": ["面", "", "汤"]}, {"case.form.dishes[1]": "minLength"}),
        ({"dishes": ["面"] * 4}, {"case.form.dishes": "maxItems"}),
        ({"kind": "粥"}, {"case.form.kind": "enum"}),
        ({"opens": "2026-02-30"}, {"case.form.opens": "format"}),
        (
            {"unknown": 1, "other": 2},
            {"case.form.unknown": "additionalProperties", "case.form.other": "additionalProperties"},
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(office: Office, change: dict[str, Any], expected: dict[str, str]) -> None:
    refusal = refused(office, {**FORM, **change})
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FORM_INVALID")
    assert refusal.info.domain == "approval.tulou"
    assert refusal.fields == expected


def test_all_of_it_is_named_at_once(office: Office) -> None:
    refusal = refused(office, {"area": 0, "more": 1})
    assert refusal.fields == {
        "case.form.shop": "required",
        "case.form.owner": "required",
        "case.form.area": "minimum",
        "case.form.more": "additionalProperties",
    }


def test_it_is_told_in_the_language_asked_for(office: Office) -> None:
    form = {**FORM, "shop": "", "area": 0}
    chinese, english = refused(office, form), refused(office, form, "en-GB,en")
    assert {one.field: one.description for one in chinese.bad.field_violations} == {
        "case.form.shop": "内容过短。",
        "case.form.area": "数值过小。",
    }
    assert {one.field: one.description for one in english.bad.field_violations} == {
        "case.form.shop": "Too short.",
        "case.form.area": "Too small.",
    }
    assert chinese.local.message == "申请表不符合要求。"
    assert english.local.message == english.message == "The form does not fit what the item asks for."


@pytest.mark.parametrize("form", [{}, {"nonsense": [{}] * 10}, {"shop": None}])
def test_a_draft_holds_whatever_was_written_so_far(office: Office, form: dict[str, Any]) -> None:
    draft = office.draft(form=form)
    assert dict(office.case(draft.id, CITIZEN).form) == dict(draft.form)


def test_a_form_that_fits_passes_and_comes_back_as_it_was(office: Office) -> None:
    form = {**FORM, "kind": "面", "opens": "2026-03-02", "dishes": []}
    draft = office.draft(item_code=ON_THE_SPOT, form=form)
    case = office.act("SubmitCase", draft)
    assert state_of(case) == "SUBMITTED"
    kept = office.row(case.id).form
    assert kept == form
    assert type(kept["area"]) is int


def test_a_form_with_a_long_unknown_name_is_refused_in_bounded_words(office: Office) -> None:
    refusal = refused(office, {**FORM, "字" * 20_000: 1})
    assert refusal.reason == "FORM_INVALID"
    assert len(refusal.bad.field_violations) == 1
    many = refused(office, {**FORM, **{f"unknown_field_number_{n}": n for n in range(200)}})
    assert 10 < len(many.bad.field_violations) <= 50


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_json_does_not_know_are_refused(office: Office, number: float) -> None:
    message = request("CreateCase", case=application())
    message.case.form.fields["area"].number_value = number  # type: ignore[attr-defined]
    with pytest.raises(Refused) as caught:
        office.send("CreateCase", message, by=CITIZEN)
    assert caught.value.fields == {"case.form": "finite"}


def test_a_form_that_nests_or_weighs_too_much_is_refused(office: Office) -> None:
    def nested(levels: int) -> Struct:
        top = node = Struct()
        for _ in range(levels - 1):
            node = node.fields["a"].struct_value
        node.fields["a"].number_value = 1
        return top

    for form, rule in ((nested(17), "max_depth"), (nested(30), "max_depth")):
        message = request("CreateCase", case=application(form={}))
        message.case.form.CopyFrom(form)  # type: ignore[attr-defined]
        with pytest.raises(Refused) as caught:
            office.send("CreateCase", message, by=CITIZEN)
        assert caught.value.fields == {"case.form": rule}
    with pytest.raises(Refused) as caught:
        office.draft(form={"a": "x" * 131_072})
    assert caught.value.fields == {"case.form": "max_bytes"}
    office.draft(form={"a": "x" * 130_000})


def test_a_form_of_fifty_levels_is_the_callers_mistake_too(office: Office) -> None:
    # More than what the parser takes, so that there is no field to name.
    inner = b"\x12\x02\x08\x01"
    for _ in range(50):
        value = b"\x2a" + _length(inner) + inner
        entry = b"\x0a\x01a\x12" + _length(value) + value
        inner = b"\x0a" + _length(entry) + entry
    message = application(form={}).SerializeToString() + b"\x5a" + _length(inner) + inner
    raw = b"\x0a\x2400000000-0000-4000-8000-000000000000\x12" + _length(message) + message
    call = office.channel.unary_unary("/tulou.approval.v1.ApprovalService/CreateCase")
    with pytest.raises(grpc.RpcError) as caught:
        call(raw, metadata=office.metadata(CITIZEN), timeout=10)
    refusal = Refused(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")


def _length(content: bytes) -> bytes:
    """A protobuf length."""
    number, out = len(content), b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
