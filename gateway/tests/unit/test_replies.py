"""What the gateway answers itself."""

import base64
import re

import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from tulou.type.v1 import error_reason_pb2
from tulou_chassis import errors
from tulou_gateway import replies

ALL = (*replies.REPLIES, replies.TOKEN_MISSING)


@pytest.mark.parametrize("reply", ALL, ids=lambda reply: reply.name)
@pytest.mark.parametrize("language", replies.LANGUAGES)
def test_each_reply_is_one_status_in_json_and_in_grpc(reply, language):
    as_json = json_format.ParseDict(reply.body(language), status_pb2.Status())
    headers = reply.grpc_headers(language)
    packed = headers["grpc-status-details-bin"]
    as_grpc = status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    assert as_grpc.code == int(headers["grpc-status"])
    assert as_grpc.message == as_json.message == reply.en
    # BadRequest names a field of the JSON; a gRPC caller has none that could be wrong here.
    assert list(as_grpc.details) == list(as_json.details)[:2]
    info, message = error_details_pb2.ErrorInfo(), error_details_pb2.LocalizedMessage()
    assert as_grpc.details[0].Unpack(info)
    assert as_grpc.details[1].Unpack(message)
    assert f"COMMON_ERROR_REASON_{info.reason}" in error_reason_pb2.CommonErrorReason.DESCRIPTOR.values_by_name
    assert (message.locale, message.message) == (language, reply.en if language == "en" else reply.zh)


def test_the_words_are_the_services_words():
    answers = [answer for answer in vars(errors).values() if isinstance(answer, errors.Answer)]
    theirs = {(answer.reason, answer.zh, answer.en, answer.code.value[0]) for answer in answers}
    shared = [reply for reply in ALL if reply.reason in {answer.reason for answer in answers}]
    assert len({reply.reason for reply in shared}) >= 6
    for reply in shared:
        assert (reply.reason, reply.zh, reply.en, reply.code) in theirs


@pytest.mark.parametrize(
    ("accepted", "english"),
    [
        ("en", True),
        ("EN-GB,en;q=0.9", True),
        ("fr, de;q=0.5, en", True),
        ("eo,zu, en", True),
        ("zh", False),
        ("zh-CN,zh;q=0.9,en;q=0.8", False),
        ("fr, zh, en", False),
        ("fr", False),
        ("", False),
        ("men", False),
    ],
)
def test_english_is_spoken_to_who_names_it_before_chinese(accepted, english):
    assert bool(re.fullmatch(replies.PREFERS_ENGLISH, accepted)) is english


def test_each_status_is_answered_in_both_forms_and_languages_before_the_catch_alls():
    titles = [mapper["title"] for mapper in replies.mappers()]
    assert len(titles) == len(set(titles))
    for reply in replies.REPLIES:
        kinds = [title for title in titles if title.startswith(f"{reply.http}: {reply.name},")]
        assert [kind.split(", ", 1)[1] for kind in kinds] == ["gRPC, en", "gRPC, zh-CN", "JSON, en", "JSON, zh-CN"]
    assert [title.startswith("any other") for title in titles] == [False] * (len(titles) - 8) + [True] * 8
