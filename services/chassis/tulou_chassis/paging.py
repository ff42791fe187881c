"""Page tokens: opaque to the caller, bound to the list's filters, pointing behind the last row."""

import base64
import hashlib
import json
from collections.abc import Sequence

from google.protobuf.message import Message

from tulou_chassis.errors import PAGE_TOKEN_INVALID, Refusal


def page_size(request: Message, *, default: int) -> int:
    """The size asked for, or the default; its upper bound is a field rule in the proto."""
    return request.page_size or default


def next_token(request: Message, keys: Sequence[str | int]) -> str:
    """The token behind the row with these sort keys."""
    return base64.urlsafe_b64encode(json.dumps([_filters(request), *keys]).encode()).rstrip(b"=").decode()


def position(request: Message, *, keys: int) -> list[str | int] | None:
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
    if not all(isinstance(key, (str, int)) for key in content):
        raise Refusal(PAGE_TOKEN_INVALID)
    return content[1:]


def _filters(request: Message) -> str:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("page_token")
    bare.ClearField("page_size")
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()[:16]
