"""Numbers of persons: in no answer, no refusal, no row, no file, no event and no line of the log."""

import json
import logging
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from sqlalchemy import inspect, text
from structlog.testing import capture_logs

from services.credit.tests.edge import (
    AUDITOR,
    CITIZEN,
    CLERK,
    OFFICE,
    PARTNER,
    Edge,
    Refused,
    authorisation,
    days_ago,
    elsewhere,
    entry,
    penalties,
)
from services.credit.tests.store import firm, person

NUMBER, OTHER, THIRD = person(), person(), person()
# Before 1999 they had 15 digits.
OLD: Final = "350602900307003"
PHONE: Final = "13850612345"
PASSPORT: Final = "EA1234567"
WRONG: Final = f"{THIRD[:-1]}{'0' if THIRD[-1] != '0' else '1'}"
SECRETS: Final = (NUMBER, OTHER, THIRD, OLD, PHONE, PASSPORT, WRONG)
# As senders write them into texts.
TOLD: Final = f"电话{PHONE}，身份证{NUMBER}，旧号{OLD}"
PERSON: Final = {"subject_kind": "SUBJECT_KIND_PERSON", "id_type": "身份证"}


class Heard:
    """A service all of whose answers and refusals are kept."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.texts: list[bytes] = []

    def __call__(self, rpc: str, **fields: Any) -> Any:
        try:
            answer = self.edge.ask(rpc, **fields)
        except Refused as refused:
            self.texts += [refused.status.SerializeToString(), str(refused).encode()]
            return None
        self.keep(answer)
        return answer

    def keep(self, answer: Message | list[Message]) -> None:
        messages = answer if isinstance(answer, list) else [answer]
        self.texts += [each.SerializeToString() for each in messages]


@pytest.fixture(scope="module")
def lived(each_edge: Edge) -> tuple[Edge, list[bytes], str]:
    """A service that was told numbers wherever they can be told; what it answered, and what it logged."""
    edge, lines = each_edge, _Lines()
    logging.getLogger().addHandler(lines)
    heard = Heard(edge)
    with capture_logs() as logs:
        live(edge, heard)
    logging.getLogger().removeHandler(lines)
    told = json.dumps(logs, default=str, ensure_ascii=False) + "\n".join(lines.texts)
    return edge, heard.texts, told


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


def live(edge: Edge, ask: Heard) -> None:
    citizen = elsewhere(CITIZEN, subject="citizen-told", identity=NUMBER, name=f"欧阳小某 {NUMBER}")
    refusal = {"item": f"食品经营许可 {PHONE}", "document_number": NUMBER, "organ": f"某局 {PHONE}", "reason": TOLD}
    content = {"content": {**refusal, "decided_on": "2026-01-05"}}
    changed = {"content": {**content["content"], "item": OLD}}
    named = {"subject_name": f"欧阳小某{NUMBER}", "organ_name": f"某局 {PHONE}", "source_key": NUMBER}
    # A subject of which nothing is known yet comes with the authorisation.
    granted = ask("GrantAuthorisation", by=citizen, authorisation=authorisation(purpose=f"贷款 {PHONE}"))
    ask("GrantAuthorisation", by=citizen, authorisation=authorisation(grantee=OTHER))
    sent = ask("PutRecord", by=CLERK, **entry(NUMBER, "REFUSAL", **PERSON, **named, **content))
    ask("PutRecord", by=CLERK, **entry(NUMBER, "REFUSAL", **PERSON, **named, **changed))
    honour = {"title": f"好人 {OTHER}", "document_number": OTHER, "granted_on": "2026-01-05"}
    ask("PutRecord", by=CLERK, **entry(PASSPORT, "HONOUR", **PERSON | {"id_type": "护照号"}, content=honour))
    ask("RegisterSubject", by=CLERK, kind="SUBJECT_KIND_PERSON", code=OTHER, id_type="身份证", name=f"某 {PHONE}")
    ask("RegisterSubject", by=CLERK, kind="SUBJECT_KIND_ORGANISATION", code=firm(), name=f"陈{OTHER}茶摊")
    for number in (NUMBER, THIRD, WRONG):
        ask("FindPerson", by=PARTNER, id_type="身份证", number=number, name=named["subject_name"])
        ask("CheckSubject", by=CLERK, code=number, id_type="身份证", purpose="APPROVAL")
        ask("CheckSubject", by=CLERK, code=number, purpose="APPROVAL")
        ask("RegisterSubject", by=CLERK, kind="SUBJECT_KIND_PERSON", code=number, id_type="身份证", name="")
        ask("SearchSubjects", name=number, page_size=1)
        ask("SearchSubjects", code=number)
    # What is refused is told to nobody either.
    ask("PutRecord", by=CLERK, **entry(WRONG, "REFUSAL", **PERSON, **content))
    ask("PutRecord", by=CLERK, **entry(NUMBER, "REFUSAL", **PERSON, content={THIRD: TOLD}))
    ask("PutRecord", by=CLERK, **entry(NUMBER, "REFUSAL", **PERSON, content={"reason": {THIRD: [TOLD]}}))
    subject_id = granted.authorisation.subject_id
    ask("GetSubject", by=citizen, subject_id=subject_id)
    query = {"subject_id": subject_id, "purpose": f"贷款 {PHONE}", "type_codes": ["REFUSAL"]}
    asked = ask("QueryRecords", by=PARTNER, **query)
    assert len(asked.records) == 1
    ask("QueryRecords", by=citizen, **query)
    ask("ListQueries", by=AUDITOR, subject_id=subject_id)
    report = ask("CreateReport", by=PARTNER, subject_id=subject_id, purpose=f"贷款 {PHONE}").report
    own = ask("CreateReport", by=citizen, purpose=f"自查 {NUMBER}").report
    for made in (report, own):
        ask("GetReport", by=citizen, report_id=made.id)
        ask("DownloadReport", by=citizen, report_id=made.id)
        ask("VerifyReport", code=made.verification_code)
    ask("ListRecordVersions", by=CLERK, record_id=sent.record_id)
    # A proceeding each.
    filed = ask("FileObjection", by=citizen, record_id=sent.record_id, reason=TOLD).objection
    forwarded = ask("ForwardObjection", by=OFFICE, objection_id=filed.id, etag=filed.etag).objection
    ask("DecideObjection", by=CLERK, objection_id=filed.id, etag=forwarded.etag, opinion=TOLD)
    ask("ListObjections", by=AUDITOR)
    company, listed = edge.breach()
    evidence = edge.upload("UploadEvidence", by=company, filename=f"{NUMBER}的证明 {PHONE}.pdf").evidence_id
    request = {"record_id": listed, "corrected_on": days_ago(3), "promise": True}
    repair = ask("SubmitRepair", by=company, evidence_ids=[evidence], **request).repair
    repair = ask("AcceptRepair", by=CLERK, repair_id=repair.id, etag=repair.etag).repair
    repair = ask("GrantRepair", by=CLERK, repair_id=repair.id, etag=repair.etag, opinion=TOLD).repair
    ask("RevokeRepair", by=OFFICE, repair_id=repair.id, etag=repair.etag, opinion=TOLD)
    # A file of rows, with one that is wrong.
    row = {
        **{"CF_XDR_MC": f"欧阳小某 {OTHER}", "CF_XDR_LB": "自然人", "CF_XDR_SHXYM": "", "CF_XDR_ZJLX": "身份证"},
        **{"CF_XDR_ZJHM": OTHER, "CF_SY": TOLD, "BZ": TOLD, "CF_WSH": f"漳市监罚〔2024〕{OTHER}号"},
    }
    wrong = row | {"CF_XDR_ZJHM": WRONG, "CF_WSH": "漳市监罚〔2024〕9号"}
    taken = edge.taken(penalties(row, wrong), filename=f"{NUMBER} {PHONE}.csv")
    ask.keep(taken)
    assert (taken.rows_created, taken.rows_quarantined) == (1, 1)
    ask("ListImports", by=CLERK)
    ask("ListQuarantinedRows", by=CLERK, import_id=taken.import_id)
    place = {"import_id": taken.import_id, "row": 3}
    ask("CorrectRow", by=CLERK, **place, cells={"CF_XDR_ZJHM": f"{WRONG[:-1]}a"})
    ask("CorrectRow", by=CLERK, **place, cells={THIRD: THIRD, "CF_JDRQ": f"2024-02-30 {PHONE}"})
    corrected = ask("CorrectRow", by=CLERK, **place, cells={"CF_XDR_ZJHM": THIRD})
    ask("GetRecord", by=CLERK, record_id=corrected.record_id)


def holds(text: bytes | str) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    return [secret for secret in SECRETS if secret.encode() in content]


def test_answers_and_refusals_hold_none(lived: tuple[Edge, list[bytes], str]) -> None:
    _, answers, _ = lived
    assert len(answers) > 50
    for answer in answers:
        assert not holds(answer), answer.decode("utf-8", "replace")


def test_the_log_holds_none(lived: tuple[Edge, list[bytes], str]) -> None:
    _, _, told = lived
    assert "FindPerson" in told
    assert not holds(told)


def test_no_row_of_any_table_holds_one(lived: tuple[Edge, list[bytes], str]) -> None:
    edge, _, _ = lived
    seen = set()
    with edge.database.engine.connect() as connection:
        for table in inspect(connection).get_table_names():
            for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings():
                seen.add(table)
                for column, value in row.items():
                    content = bytes(value) if isinstance(value, (bytes, memoryview)) else _text(value)
                    assert not holds(content), f"{table}.{column}: {content!r}"
    assert {"idempotency", "history", "outbox", "credit_report", "credit_query", "credit_evidence"} <= seen


def test_no_file_holds_one(lived: tuple[Edge, list[bytes], str]) -> None:
    edge, _, _ = lived
    folders = [edge.settings.blob_dir]
    if edge.settings.database_url.startswith("sqlite"):
        folders.append(edge.settings.keyring_file.parent)
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert not holds(file.read_bytes()), file.name
        assert not holds(file.name)


def test_the_sender_alone_gets_the_cells_of_its_rows(each_edge: Edge) -> None:
    taken = each_edge.taken(penalties({"CF_JDRQ": "2024-02-30", "CF_SY": TOLD}))
    pieces = each_edge.ask("DownloadQuarantine", by=CLERK, import_id=taken.import_id)
    assert TOLD.encode() in b"".join(piece.data for piece in pieces)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
