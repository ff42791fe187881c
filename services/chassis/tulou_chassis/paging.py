"""Page tokens: opaque to the caller, bound to the list's filters, pointing behind the last row."""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Protocol, cast

from google.protobuf.message import Message

from tulou_chassis.errors import PAGE_TOKEN_INVALID, Refusal


class PageRequest(Protocol):
    """What the request of every list carries."""

    @property
    def page_size(self) -> int: ...

    @property
    def page_token(self) -> str: ...


def page_size(request: PageRequest, *, default: int) -> int:
    """The size asked for, or the default; its upper bound is a field rule in the proto."""
    return request.page_size or default


def next_token(request: PageRequest, keys: Sequence[str | int | datetime]) -> str:
    """The token behind the row with these sort keys."""
    texts = [key.isoformat() if isinstance(key, datetime) else key for key in keys]
    return base64.urlsafe_b64encode(json.dumps([_filters(request), *texts]).encode()).rstrip(b"=").decode()


def position(request: PageRequest, *, keys: int) -> list[str | int] | None:
    """The sort keys of the row to go on behind; None on the first page. Raises Refusal with PAGE_TOKEN_INVALID."""
    token = request.page_token
    if not token:
        return None
    try:
        content = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        raise Refusal(PAGE_TOKEN_INVALID) from None
    if not isinstance(content, list) or len(content) != keys + 1 or content[0] != _filters(request):
        raise Refusal(PAGE_TOKEN_INVALID)
    if not all((isinstance(key, str) and key.isprintable()) or type(key) is int for key in content):
        raise Refusal(PAGE_TOKEN_INVALID)
    return content[1:]


def time_key(request: PageRequest) -> tuple[datetime, str] | None:
    """The position in a list sorted by time and id. Raises Refusal with PAGE_TOKEN_INVALID."""
    keys = position(request, keys=2)
    if keys is None:
        return None
    try:
        time = datetime.fromisoformat(str(keys[0]))
        if time.utcoffset() != timedelta(0):
            raise ValueError
    except ValueError:
        raise Refusal(PAGE_TOKEN_INVALID) from None
    return time, str(keys[1])


def date_key(request: PageRequest) -> tuple[date, str] | None:
    """The position in a list sorted by day and text. Raises Refusal with PAGE_TOKEN_INVALID."""
    keys = position(request, keys=2)
    if keys is None:
        return None
    try:
        return date.fromisoformat(str(keys[0])), str(keys[1])
    except ValueError:
        raise Refusal(PAGE_TOKEN_INVALID) from None


def number_key(request: PageRequest) -> int:
    """The position in a list sorted by a number; 0 on the first page. Raises Refusal with PAGE_TOKEN_INVALID."""
    keys = position(request, keys=1)
    if keys is None:
        return 0
    if not isinstance(keys[0], int) or not 0 <= keys[0] < 2**31:
        raise Refusal(PAGE_TOKEN_INVALID)
    return keys[0]


def _filters(request: PageRequest) -> str:
    message = cast(Message, request)
    bare = type(message)()
    bare.CopyFrom(message)
    bare.ClearField("page_token")
    bare.ClearField("page_size")
    # With the list's name: without filters all lists look alike.
    content = message.DESCRIPTOR.full_name.encode() + b"\0" + bare.SerializeToString(deterministic=True)
    return hashlib.sha256(content).hexdigest()[:16]
