"""Numbers of persons in free text are masked, and what only looks like them is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tulou_credit.domain.privacy import masked_number, masked_text
from tulou_credit.domain.subjects import name_key

# Synthetic, with right check digits.
PERSON, OTHER = "350602199001011016", "35060319851231001X"
FIRM = "91350602MA2XA1B244"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"当事人张三，身份证号{PERSON}。", "当事人张三，身份证号350*************16。"),
        (f"ID{PERSON}有效", "ID350*************16有效"),
        ("３５０６０２１９９００１０１１０１６", "350*************16"),
        ("３５０６０２９００１０１１０１", "350**********01"),
        ("１３８５０６１２３４５", "138****2345"),
        ("350602　19900101－1016", "350*************16"),
        ("350602 19900101 1016", "350*************16"),
        ("350602-19900101-1016", "350*************16"),
        (OTHER.lower(), "350*************1X"),
        (f"{PERSON}、{OTHER}", "350*************16、350*************1X"),
        # A number with a wrong check digit is a person's with a slip of the pen.
        ("350602199001011017", "350*************17"),
        (f"2 {OTHER}", "2 350*************1X"),
        ("老证350602900101101", "老证350**********01"),
        ("电话13850612345", "电话138****2345"),
        ("电话138 5061 2345", "电话138****2345"),
        ("+86 13850612345", "+86 138****2345"),
        ("8613850612345", "86138****2345"),
    ],
)
def test_numbers_of_persons_are_masked(text: str, shown: str) -> None:
    assert masked_text(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        FIRM,
        "914403001922038216",
        "罚款 20000 元，限 2024-01-02 前缴纳",
        "漳市监罚〔2024〕138号",
        "12013850612345678901",
        "350602209913011016",
        "",
    ],
)
def test_other_numbers_are_left(text: str) -> None:
    assert masked_text(text) == text


def test_a_known_number_is_masked_wherever_it_stands() -> None:
    assert masked_text("护照e12345678到期", known=["E12345678", ""]) == "护照E12****78到期"


def test_a_document_number_may_look_like_a_phone_but_not_hold_an_identity() -> None:
    assert masked_number("13850612345") == "13850612345"
    assert masked_number(f"漳罚{PERSON}号") == "漳罚350*************16号"


@pytest.mark.parametrize("tail", ["", "00", "01"])
def test_a_tax_number_that_begins_with_the_identity_number_is_masked(tail: str) -> None:
    assert masked_number(PERSON + tail) == "350*************16" + tail


@given(before=st.text(alphabet="张三罚款号，。 a-", max_size=10), after=st.text(alphabet="张三罚款号，。", max_size=10))
def test_no_text_around_a_number_lets_it_stand(before: str, after: str) -> None:
    assert PERSON not in masked_text(before + PERSON + after)


@pytest.mark.parametrize(
    "name",
    [
        "漳州（闽南）食品 有限公司",
        "漳州(闽南)食品有限公司",
        "漳州【闽南】食品有限公司",
        "　漳州「闽南」·食品_有限公司 ",
    ],
)
def test_names_that_differ_in_marks_and_spaces_have_one_key(name: str) -> None:
    assert name_key(name) == "漳州闽南食品有限公司"


def test_full_width_letters_and_capitals_do_not_matter_and_keys_end_somewhere() -> None:
    assert name_key("ＡＢＣ　１２３ Tea") == "abc123tea"
    assert len(name_key("㍿" * 200)) == 200
