"""Identifiers: valid ones pass, every slip is caught, nothing is given away. All identity numbers are made up."""

import string
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stdnum.cn import ric, uscc

from tulou_civics.identifiers import (
    InvalidIdentifier,
    case_number,
    check_case_number,
    check_credit_code,
    check_licence_identifier,
    check_resident_id,
    licence_identifier,
    mask_identity,
    mask_name,
    mask_phone,
)

# A busy machine is no failure.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
# Published codes of companies and state organs.
CREDIT_CODES = ["914403001922038216", "91330100799655058B", "91440300708461136T", "11430000006122244L"]
# Identifiers of published e-licences; the second names its issuer by a division code.
LICENCES = [
    "1.2.156.3005.2.11100000000013338W011.11430000006122244L.20230000403.001.U",
    "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9",
    "1.2.156.3005.2.11100000000013338W009.11330105002500287C.2025052201.002.0",
]
PRINTABLE = string.digits + string.ascii_letters + string.punctuation + " 中"


def resident_id(place: str, birth: str, order: str = "001") -> str:
    return f"{place}{birth}{order}" + ric.calc_check_digit(f"{place}{birth}{order}0")


def changes_of(text: str) -> list[str]:
    """The text with each single character replaced by every other one; another case of a letter is no other one."""
    return [
        text[:index] + other + text[index + 1 :]
        for index, character in enumerate(text)
        for other in PRINTABLE
        if other.upper() != character
    ]


@pytest.mark.parametrize(
    ("place", "birth"),
    [
        ("350602", "19850101"),
        # Born before the county had its code, or in a county that has another one now.
        ("350602", "19350228"),
        ("350681", "19700101"),
        ("350604", "20220101"),
        ("350621", "19600101"),
        # Residence permits of people from Hong Kong, Macau and Taiwan.
        ("810000", "19900101"),
        ("830000", "19900101"),
    ],
)
def test_identity_numbers_of_every_age_and_place_pass(place: str, birth: str) -> None:
    number = resident_id(place, birth)
    assert check_resident_id(number) == number


def test_identity_numbers_are_normalised() -> None:
    number = next(
        each for each in (resident_id("350602", "19900101", f"{n:03d}") for n in range(1, 99)) if each.endswith("X")
    )
    assert check_resident_id(f" {number.lower()} ") == number
    assert check_resident_id(f"{number[:6]} {number[6:14]} {number[14:]}") == number
    full_width = "".join(chr(ord(character) + 0xFEE0) for character in number)
    assert check_resident_id(full_width) == number


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("", "length"),
        (resident_id("350602", "19900101")[:17], "length"),
        ("350602900101001", "length"),
        ("35060219900101001A", "form"),
        ("X50602199001010011", "form"),
        ("350602179001010011", "form"),
        (resident_id("350602", "19900230"), "date"),
        (resident_id("350602", "20260229"), "date"),
    ],
)
def test_wrong_identity_numbers_say_why(number: str, why: str) -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        check_resident_id(number)
    assert (refused.value.kind, refused.value.why) == ("resident_id", why)


def test_every_change_of_one_character_of_an_identity_number_is_caught() -> None:
    for changed in changes_of(resident_id("350602", "19900101")):
        with pytest.raises(InvalidIdentifier):
            check_resident_id(changed)


@pytest.mark.parametrize("code", CREDIT_CODES)
def test_published_credit_codes_pass(code: str) -> None:
    assert check_credit_code(code) == code
    assert check_credit_code(f" {code[:8].lower()}-{code[8:].lower()}") == code


@pytest.mark.parametrize("code", CREDIT_CODES)
def test_every_change_of_one_character_of_a_credit_code_is_caught(code: str) -> None:
    for changed in changes_of(code):
        with pytest.raises(InvalidIdentifier):
            check_credit_code(changed)


def test_the_code_of_a_village_collective_passes() -> None:
    body = "N2350603MF1234567"
    code = body + uscc.calc_check_digit(body)
    assert check_credit_code(code) == code


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("91440300192203821", "length"),
        ("9144O3001922038216", "form"),
        ("91440300192203821I", "form"),
        ("914403001922038217", "check_digit"),
    ],
)
def test_wrong_credit_codes_say_why(code: str, why: str) -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        check_credit_code(code)
    assert (refused.value.kind, refused.value.why) == ("credit_code", why)


def test_errors_do_not_hold_the_number() -> None:
    number = resident_id("350602", "19900230")
    with pytest.raises(InvalidIdentifier) as refused:
        check_resident_id(number)
    error = refused.value
    assert str(error) == "invalid resident_id: date"
    assert number not in repr(error.__dict__) + repr(error.args)
    assert error.__suppress_context__


def test_a_case_number_holds_region_day_serial_and_check_digit() -> None:
    number = case_number("350600", date(2026, 11, 21), 42)
    assert number[:19] == "3506002026112100042"
    assert len(number) == 20
    assert check_case_number(number) == number
    assert check_case_number(f"{number[:6]} {number[6:14]}-{number[14:]} ") == number


@unhurried
@given(
    region=st.integers(100000, 999999).map(str),
    day=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    serial=st.integers(1, 99999),
)
def test_every_case_number_made_passes_its_check(region: str, day: date, serial: int) -> None:
    assert check_case_number(case_number(region, day, serial)).startswith(region)


def test_every_change_of_one_character_of_a_case_number_is_caught() -> None:
    for changed in changes_of(case_number("350602", date(2026, 2, 28), 99999)):
        with pytest.raises(InvalidIdentifier):
            check_case_number(changed)


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (case_number("350600", date(2026, 11, 21), 42)[:19], "length"),
        ("35060020261121O00421", "form"),
        ("35060020261121000420", "check_digit"),
    ],
)
def test_wrong_case_numbers_say_why(number: str, why: str) -> None:
    with pytest.raises(InvalidIdentifier) as refused:
        check_case_number(number)
    assert (refused.value.kind, refused.value.why) == ("case_number", why)


def test_a_case_number_of_a_day_that_never_was_is_refused() -> None:
    candidates = [f"350600202602300000{last:02d}" for last in range(100)]
    reasons = []
    for number in candidates:
        with pytest.raises(InvalidIdentifier) as refused:
            check_case_number(number)
        reasons.append(refused.value.why)
    assert reasons.count("date") == 10


@pytest.mark.parametrize("region", ["3506", "35060", "3506000", "03506A", "350602001"])
def test_a_case_number_needs_a_region_of_six_digits(region: str) -> None:
    with pytest.raises(ValueError, match="6 digits"):
        case_number(region, date(2026, 11, 21), 1)


@pytest.mark.parametrize("serial", [0, -1, 100_000])
def test_a_case_number_has_room_for_99999_a_day(serial: int) -> None:
    with pytest.raises(ValueError, match="1 to 99999"):
        case_number("350600", date(2026, 11, 21), serial)


@pytest.mark.parametrize("identifier", LICENCES)
def test_published_licence_identifiers_pass(identifier: str) -> None:
    assert check_licence_identifier(identifier) == identifier
    assert check_licence_identifier(identifier.lower()) == identifier


@pytest.mark.parametrize("identifier", [LICENCES[0], LICENCES[2]])
def test_published_licence_identifiers_are_made_again_from_their_parts(identifier: str) -> None:
    kind, issuer, serial, version, _ = identifier.removeprefix("1.2.156.3005.2.").split(".")
    made = licence_identifier(
        type_body=kind[:18], catalogue_code=kind[18:], issuer=issuer, serial=serial, version=int(version)
    )
    assert made == identifier


@pytest.mark.parametrize("identifier", LICENCES)
def test_every_change_of_one_character_of_a_licence_identifier_is_caught(identifier: str) -> None:
    for changed in changes_of(identifier):
        with pytest.raises(InvalidIdentifier):
            check_licence_identifier(changed)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("type_body", "11100000000013338X", "credit_code"),
        ("issuer", "340100", "credit_code"),
        ("catalogue_code", "11", "catalogue code"),
        ("catalogue_code", "01a", "catalogue code"),
        ("serial", "", "serial"),
        ("serial", "A" * 33, "serial"),
        ("serial", "2026.1", "serial"),
        ("version", 0, "version"),
        ("version", 1000, "version"),
    ],
)
def test_a_licence_identifier_is_not_made_of_wrong_parts(part: str, value: str | int, message: str) -> None:
    parts: dict[str, str | int] = {
        "type_body": "11100000000013338W",
        "catalogue_code": "011",
        "issuer": "11430000006122244L",
        "serial": "20230000403",
        "version": 1,
    }
    with pytest.raises(ValueError, match=message):
        licence_identifier(**{**parts, part: value})  # type: ignore[arg-type]  # one mapping for texts and a number


def test_numbers_are_masked_by_what_they_are() -> None:
    assert mask_identity("914403001922038216") == "914403********8216"
    person = resident_id("350602", "19900101")
    assert mask_identity(person) == "350" + "*" * 13 + person[-2:]
    assert mask_identity("E12345678") == "E12****78"
    assert mask_identity("1234567") == "*******"
    assert mask_identity("") == ""


def test_a_number_that_could_be_a_persons_or_an_organisations_is_masked_as_a_persons() -> None:
    orders = [resident_id("350602", "19900101", f"{n:03d}") for n in range(1, 200)]
    ambiguous = next(each for each in orders if each == each[:17] + uscc.calc_check_digit(each))
    assert check_credit_code(ambiguous) == check_resident_id(ambiguous)
    assert mask_identity(ambiguous).count("*") == 13


@unhurried
@given(number=st.text(alphabet=string.digits + "X", min_size=18, max_size=18))
def test_a_masked_number_shows_ten_characters_at_most_and_keeps_its_length(number: str) -> None:
    masked = mask_identity(number)
    assert len(masked) == len(number)
    assert masked.count("*") >= 8


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13812345678", "138****5678"),
        ("138 1234 5678", "138****5678"),
        ("0596-2021234", "*******1234"),
        ("+8613812345678", "**********5678"),
        ("12345", "*****"),
        ("", ""),
    ],
)
def test_phones_are_masked(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("name", "masked"),
    [
        ("张三", "张*"),
        ("张三丰", "张**"),
        ("欧阳修文", "欧阳**"),
        ("欧阳修", "欧阳*"),
        ("欧阳", "欧*"),
        ("张", "*"),
        ("买买提·吐尔逊", "买******"),
        (" 李四 ", "李*"),
        ("", ""),
    ],
)
def test_names_keep_only_the_surname(name: str, masked: str) -> None:
    assert mask_name(name) == masked
