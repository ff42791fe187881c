"""How many records an answer holds."""

import pytest

from tulou.credit.v1 import record_pb2
from tulou_credit.convert.records import MAX_ANSWER_BYTES, fitting


def records(*sizes: int) -> list[record_pb2.Record]:
    return [record_pb2.Record(organ_name="x" * size) for size in sizes]


HALF = MAX_ANSWER_BYTES // 2


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ((), 0),
        ((10, 10, 10), 3),
        ((HALF, HALF - 100, 10), 3),
        ((HALF, HALF, 10), 1),
        ((10, MAX_ANSWER_BYTES, 10), 1),
        # One is always shown, or nobody would ever come behind it.
        ((2 * MAX_ANSWER_BYTES, 10), 1),
    ],
)
def test_an_answer_holds_as_many_of_the_first_as_fit(sizes: tuple[int, ...], shown: int) -> None:
    found = records(*sizes)
    assert fitting(found) == found[:shown]
