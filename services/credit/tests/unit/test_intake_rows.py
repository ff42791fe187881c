"""The checks of one row, the records they give, and the quarantine file."""

import csv
import io
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.credit.tests.hostile.recipes import FIRM, LICENCE, ORGAN, PENALTY, PERSON, TRADER, csv_file
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.intake import read_rows
from tulou_credit.intake.columns import COLUMN_SETS, LICENCE_790, LICENCE_2015, PENALTY_790, ColumnSet, Kind
from tulou_credit.intake.report import (
    RUN_BY_SPREADSHEETS,
    Breach,
    Rejected,
    neutralised,
    quarantine_csv,
    quote,
)
from tulou_credit.intake.rows import Licence, Penalty, judged
from tulou_credit.intake.table import Row

TODAY = date(2024, 6, 1)
OF_PERSON = {
    "XK_XDR_LB": "自然人",
    "XK_XDR_MC": "张三",
    "XK_XDR_SHXYM": "",
    "XK_XDR_ZJLX": "身份证",
    "XK_XDR_ZJHM": PERSON,
}
LICENCE_OF_2015 = {
    "XK_WSH": "漳国土〔2016〕3号",
    "XK_XMMC": "建设用地批准",
    "XK_SPLB": "普通",
    "XK_NR": "用地",
    "XK_XDR": "王五",
    "XK_XDR_SFZ": PERSON,
    "XK_JDRQ": "2016/3/4",
    "XK_JZQ": "2026/3/4",
    "XK_XZJG": "漳州市国土资源局",
    "XK_ZT": "0",
    "DFBM": "350600",
}


def _judged(values: dict[str, str], columns: ColumnSet = LICENCE_790) -> Licence | Penalty | Rejected:
    (record,) = judged([Row(2, columns, values)], today=TODAY)
    return record


def _licence(**changed: str) -> Licence:
    record = _judged(LICENCE | changed)
    assert isinstance(record, Licence)
    return record


def _penalty(**changed: str) -> Penalty:
    record = _judged(PENALTY | changed, PENALTY_790)
    assert isinstance(record, Penalty)
    return record


def _breaches(values: dict[str, str], columns: ColumnSet = LICENCE_790) -> list[tuple[str, str]]:
    record = _judged(values, columns)
    assert isinstance(record, Rejected)
    return [(breach.field, breach.reason) for breach in record.breaches]


def test_a_licence_of_an_organisation_is_taken() -> None:
    licence = _licence()
    assert (licence.kind, licence.subject_kind, licence.subject_code) == (Kind.LICENCE, SubjectKind.ORGANISATION, FIRM)
    assert (licence.decided_on, licence.valid_to) == (date(2024, 1, 2), date(2029, 1, 1))
    assert licence.is_valid
    assert not _licence(XK_ZT="2").is_valid


def test_a_penalty_of_a_sole_trader_is_taken() -> None:
    penalty = _penalty()
    assert (penalty.kind, penalty.subject_kind, penalty.subject_code) == (Kind.PENALTY, SubjectKind.SOLE_TRADER, TRADER)
    assert (penalty.categories, penalty.fine_fen, penalty.confiscated_fen) == (("罚款", "警告"), 200_000, None)


def test_a_person_is_known_by_the_number_which_is_in_no_repr() -> None:
    licence = _licence(**OF_PERSON, XK_FR_ZJHM=PERSON)
    assert (licence.subject_kind, licence.subject_code, licence.id_type) == (SubjectKind.PERSON, PERSON, "身份证")
    rejected = _judged(LICENCE | OF_PERSON | {"XK_ZT": "9"})
    assert PERSON not in repr(licence) + repr(rejected) + repr(Row(2, LICENCE_790, LICENCE | OF_PERSON))


def test_a_licence_of_2015_is_a_person_s_if_it_has_only_an_identity_number() -> None:
    licence = _judged(LICENCE_OF_2015, LICENCE_2015)
    assert isinstance(licence, Licence)
    assert (licence.subject_kind, licence.subject_code, licence.organ_code) == (SubjectKind.PERSON, PERSON, "350600")
    assert licence.is_valid
    assert _breaches(LICENCE_OF_2015 | {"XK_XDR_SFZ": ""}, LICENCE_2015) == [("XK_XDR_SHXYM", "REQUIRED")]


@pytest.mark.parametrize("columns", COLUMN_SETS, ids=lambda columns: f"{columns.kind} {columns.edition}")
def test_every_required_column_is_asked_for(columns: ColumnSet) -> None:
    required = [(column.name, "REQUIRED") for column in columns.columns if column.required]
    assert _breaches({}, columns) == required
    assert len(required) > 9


@pytest.mark.parametrize(
    ("changed", "field", "reason"),
    [
        ({"XK_XDR_LB": "企业"}, "XK_XDR_LB", "NOT_IN_LIST"),
        ({"XK_XDR_SHXYM": ""}, "XK_XDR_SHXYM", "REQUIRED"),
        ({"XK_XDR_SHXYM": FIRM[:-1] + "5"}, "XK_XDR_SHXYM", "CREDIT_CODE"),
        ({"XK_XKJGDM": "350600"}, "XK_XKJGDM", "CREDIT_CODE"),
        (OF_PERSON | {"XK_XDR_SHXYM": FIRM}, "XK_XDR_SHXYM", "NOT_FOR_PERSON"),
        (OF_PERSON | {"XK_XDR_ZJLX": ""}, "XK_XDR_ZJLX", "REQUIRED"),
        (OF_PERSON | {"XK_XDR_ZJLX": "驾驶证"}, "XK_XDR_ZJLX", "NOT_IN_LIST"),
        (OF_PERSON | {"XK_XDR_ZJHM": PERSON[:-1] + "7"}, "XK_XDR_ZJHM", "RESIDENT_ID"),
        (OF_PERSON | {"XK_XDR_ZJLX": "护照号", "XK_XDR_ZJHM": "E1"}, "XK_XDR_ZJHM", "IDENTITY_FORM"),
        ({"XK_FR_ZJHM": PERSON[:-1] + "7"}, "XK_FR_ZJHM", "RESIDENT_ID"),
        ({"XK_XKLB": "一般"}, "XK_XKLB", "NOT_IN_LIST"),
        ({"XK_XKLB": "其他-"}, "XK_XKLB", "NOT_IN_LIST"),
        ({"XK_ZT": "0"}, "XK_ZT", "NOT_IN_LIST"),
        ({"XK_JDRQ": "2024-06-02", "XK_YXQZ": "2024-06-02"}, "XK_JDRQ", "DATE_IN_FUTURE"),
        ({"XK_JDRQ": "2023-02-29"}, "XK_JDRQ", "DATE_FORM"),
        ({"XK_JDRQ": "2024-1/2"}, "XK_JDRQ", "DATE_FORM"),
        ({"XK_JDRQ": "2024-01-02 00:00:00"}, "XK_JDRQ", "DATE_FORM"),
        ({"XK_JDRQ": "24-01-02"}, "XK_JDRQ", "DATE_FORM"),
        ({"XK_JDRQ": "45293"}, "XK_JDRQ", "DATE_SERIAL"),
        ({"XK_JDRQ": "1949-09-30"}, "XK_JDRQ", "DATE_RANGE"),
        ({"XK_YXQZI": "2100-01-01"}, "XK_YXQZI", "DATE_RANGE"),
        ({"XK_YXQZI": "2024-01-01"}, "XK_YXQZI", "DATES_REVERSED"),
        ({"XK_XDR_MC": "名" * 201}, "XK_XDR_MC", "TOO_LONG"),
        ({"XK_XDR_GSZC": "号1"}, "XK_XDR_GSZC", "CODE_FORM"),
        ({"XK_WSH": "=1+1"}, "XK_WSH", "FORMULA_TEXT"),
        ({"XK_WSH": "\t1号"}, "XK_WSH", "FORMULA_TEXT"),
        ({"XK_XDR_MC": "＠公司"}, "XK_XDR_MC", "FORMULA_TEXT"),
        ({"XK_NR": "许\x00可"}, "XK_NR", "NUL"),
        ({"XK_NR": "许\x07可"}, "XK_NR", "BAD_CHARACTER"),
        ({"XK_NR": "许\u200b可"}, "XK_NR", "BAD_CHARACTER"),
    ],
)
def test_a_wrong_field_is_named_with_its_reason(changed: dict[str, str], field: str, reason: str) -> None:
    assert _breaches(LICENCE | changed) == [(field, reason)]


def test_all_that_is_wrong_with_a_row_s_fields_is_told_at_once() -> None:
    wrong = LICENCE | {"XK_ZT": "9", "XK_JDRQ": "nie", "XK_XKJG": ""}
    assert _breaches(wrong) == [("XK_JDRQ", "DATE_FORM"), ("XK_XKJG", "REQUIRED"), ("XK_ZT", "NOT_IN_LIST")]


@pytest.mark.parametrize("text", ["2024-01-02", "2024-1-2", "2024/1/2", "2024/01/02", "20240102", " 2024-01-02 "])
def test_a_date_may_be_written_in_each_of_the_usual_forms(text: str) -> None:
    assert _licence(XK_JDRQ=text).decided_on == date(2024, 1, 2)


def test_the_day_of_decision_may_be_today_and_a_licence_may_last_a_day() -> None:
    today = "2024-06-01"
    assert _licence(XK_JDRQ=today, XK_YXQZ=today, XK_YXQZI=today).valid_to == TODAY


@pytest.mark.parametrize(
    ("text", "fen"),
    [("0", 0), ("0.2", 200_000), ("0.000001", 1), ("1", 1_000_000), ("999999999999.999999", 10**18 - 1)],
)
def test_an_amount_is_exact_to_the_fen(text: str, fen: int) -> None:
    assert _penalty(CF_NR_FK=text).fine_fen == fen


@pytest.mark.parametrize("text", ["-1", "+1", "1.0000001", "1e3", "1,000", ".5", "1.", "１", "1234567890123", "=1"])
def test_an_amount_of_another_form_is_refused(text: str) -> None:
    assert _breaches(PENALTY | {"CF_NR_FK": text}, PENALTY_790) == [("CF_NR_FK", "AMOUNT_FORM")]


def test_a_fine_needs_its_amount_and_a_warning_none() -> None:
    assert _breaches(PENALTY | {"CF_NR_FK": ""}, PENALTY_790) == [("CF_NR_FK", "AMOUNT_REQUIRED")]
    assert _penalty(CF_NR_FK="", CF_CFLB="警告").fine_fen is None


def test_kinds_of_penalty_may_be_several_and_others_explained() -> None:
    assert _penalty(CF_CFLB="没收违法所得、没收非法财物;其他-公开道歉").categories == (
        "其他-公开道歉",
        "没收违法所得、没收非法财物",
    )
    assert _breaches(PENALTY | {"CF_CFLB": "警告；批评"}, PENALTY_790) == [("CF_CFLB", "NOT_IN_LIST")]


def test_the_end_of_publicity_is_not_before_the_decision() -> None:
    assert _breaches(PENALTY | {"CF_GSJZQ": "2024-01-01"}, PENALTY_790) == [("CF_GSJZQ", "DATES_REVERSED")]


def test_a_list_of_items_may_begin_with_a_hyphen() -> None:
    assert _licence(XK_NR="-一、食品").content == "-一、食品"


def test_the_natural_key_is_the_same_however_the_document_number_is_typed() -> None:
    key = _licence().natural_key
    assert key == ("LICENCE", "漳市监许(2024)1号", FIRM, ORGAN)
    for number in ("漳市监许[2024]1号", "漳市监许（2024）1号", "漳市监许〔２０２４〕 1号", "漳市监许【2024】1号"):
        assert _licence(XK_WSH=number).natural_key == key
    assert _licence(XK_WSH="漳市监许〔2024〕2号").natural_key != key


def test_the_content_hash_changes_with_every_field_that_is_kept() -> None:
    changes = {
        "XK_XDR_MC": "另一公司",
        "XK_NR": "其他内容",
        "XK_JDRQ": "2024-01-01",
        "XK_YXQZI": "2030-01-01",
        "XK_ZT": "2",
        "BZ": "注",
        "XK_XDR_GSZC": "350600100012345",
        "XK_FR_ZJHM": PERSON,
    }
    hashes = {_licence().content_hash, *(_licence(**{name: text}).content_hash for name, text in changes.items())}
    assert len(hashes) == len(changes) + 1
    assert _licence(XK_NR=" 食品经营许可 ").content_hash == _licence().content_hash


def test_the_row_number_is_not_part_of_the_content() -> None:
    (first, second) = judged([Row(2, LICENCE_790, LICENCE), Row(9, LICENCE_790, LICENCE)], today=TODAY)
    assert isinstance(first, Licence)
    assert isinstance(second, Licence)
    assert first.content_hash == second.content_hash


def test_quarantine_runs_nothing_and_comes_back_as_it_was_sent() -> None:
    sent = LICENCE | {"XK_XDR_MC": "=HYPERLINK(1)", "XK_NR": "-一、\n二", "BZ": "'已引", "XK_WSH": "@1"}
    rejected = _judged(sent)
    assert isinstance(rejected, Rejected)
    file = b"".join(quarantine_csv([rejected]))
    assert file.startswith(b"\xef\xbb\xbf")
    header, cells = csv.reader(io.StringIO(file.decode("utf-8-sig"), newline=""))
    assert header[:4] == ["_行号", "_字段", "_原因", "XK_XDR_MC"]
    assert cells[:2] == ["2", "XK_XDR_MC；XK_WSH"]
    assert not any(cell.startswith(RUN_BY_SPREADSHEETS) for cell in cells)
    (again,) = read_rows(io.BytesIO(file))
    assert {name: text for name, text in again.values.items() if text} == sent


def test_a_corrected_quarantine_file_is_taken() -> None:
    rejected = _judged(LICENCE | {"XK_ZT": "9"})
    assert isinstance(rejected, Rejected)
    header, row = b"".join(quarantine_csv([rejected])).decode().split("\r\n", 1)
    corrected = header + "\r\n" + row.replace(",9,", ",1,")
    (record,) = judged(read_rows(io.BytesIO(corrected.encode())), today=TODAY)
    assert isinstance(record, Licence)
    assert record.content_hash == _licence().content_hash


def test_quarantine_has_every_column_though_the_first_row_could_not_be_read() -> None:
    broken = Rejected(1, LICENCE_790, (Breach(1, "", "BROKEN_JSON"),), {})
    other = _judged(LICENCE | {"XK_ZT": "9"})
    assert isinstance(other, Rejected)
    rows = list(csv.reader(io.StringIO(b"".join(quarantine_csv([broken, other])).decode("utf-8-sig"))))
    assert [len(row) for row in rows] == [3 + len(LICENCE_790.columns)] * 3


def test_no_rejected_row_makes_no_file() -> None:
    assert list(quarantine_csv([])) == []


@given(st.text(max_size=20))
def test_neutralised_text_is_never_run_and_comes_back(text: str) -> None:
    safe = neutralised(text)
    assert not safe.startswith(RUN_BY_SPREADSHEETS)
    assert safe.removeprefix("'") == text


def test_codes_of_digits_are_kept_from_rounding() -> None:
    assert neutralised(ORGAN) == f"'{ORGAN}"
    assert neutralised("0012") == "'0012"
    assert [neutralised(text) for text in ("0.2", "20240102", "0", FIRM)] == ["0.2", "20240102", "0", FIRM]


@pytest.mark.parametrize(
    "number",
    [PERSON, f"身份证{PERSON}", "3506 0219 9001 0110 16", "13800138000", "３５０６０２１９９００１０１１０１６"],
)
def test_a_number_in_a_quoted_name_is_masked(number: str) -> None:
    assert "19900101" not in quote(number).replace(" ", "")
    assert "138001" not in quote(number)
    assert "*" in quote(number)


def test_a_quoted_name_is_one_short_line() -> None:
    assert quote("XK_GZ") == "XK_GZ"
    assert len(quote("列" * 100)) == 40
    assert "\n" not in quote("a\nb")


def test_a_masked_number_stands_for_the_wrong_one_in_both_languages() -> None:
    rejected = _judged(LICENCE | OF_PERSON | {"XK_XDR_ZJHM": PERSON[:-1] + "7"})
    assert isinstance(rejected, Rejected)
    (breach,) = rejected.breaches
    assert breach.zh == "身份证号 350*************17 有误"
    assert breach.en == "350*************17 is no identity number"


def test_a_file_sent_twice_has_the_same_keys_and_hashes() -> None:
    first, second = (
        [
            (record.natural_key, record.content_hash)
            for record in judged(read_rows(io.BytesIO(csv_file(LICENCE, LICENCE))), today=TODAY)
            if isinstance(record, Licence)
        ]
        for _ in range(2)
    )
    assert first == second
    assert len(first) == 2
