"""The floor of credit: a hand-written server for CheckSubject and SearchSubjects on PostgreSQL.

As in `floor`, it runs the statements that ours runs and gives the same answers, with nothing around them.

    python -m bench.credit_floor HOST:PORT DATABASE-URL
"""

import json
import sys
from datetime import date, datetime
from typing import Any, Final

import grpc
import uvloop

from bench.floor import Row, Scope, instant, postgresql
from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import credit_service_pb2_grpc, measure_pb2, subject_pb2
from tulou_credit.domain.records import SHANGHAI
from tulou_credit.domain.standings import ended_on, standing_of

# Gravest first.
STANDINGS: Final = ("SERIOUS", "BAD", "GOOD")
CHECKED: Final = """
SELECT s.id, v.record_id, v.type_code, v.severity, v.decided_on, r.disputed,
    CASE WHEN v.type_code != 'PENALTY' THEN v.content END AS content
FROM credit_subject s LEFT JOIN (credit_record_version v JOIN credit_record r ON r.id = v.record_id)
    ON v.subject_id = s.id AND v.known_to IS NULL
    AND v.type_code IN ('ABNORMAL_LIST', 'COMPLIANCE', 'HONOUR', 'JUDGMENT', 'PENALTY', 'PROMISE', 'SERIOUS_LIST')
    AND v.valid_from <= $2 AND (v.valid_to IS NULL OR v.valid_to > $2)
    AND v.public_from <= $2 AND (v.public_until IS NULL OR v.public_until >= $2)
    AND (v.lifted_on IS NULL OR v.lifted_on > $2)
WHERE s.code = $1
ORDER BY v.decided_on, v.record_id
"""
MEASURES: Final = """
SELECT code, kind, standing, purposes, zh, en, legal_basis, published_on, withdrawn_on FROM credit_measure
WHERE published_on <= $1 AND (withdrawn_on IS NULL OR withdrawn_on >= $1) ORDER BY code
"""
SHOWN: Final = "id, kind, code, id_type, number_masked, name, name_key, representative, status, region_code, updated_at"
SEARCH: Final = f"SELECT {SHOWN} FROM credit_subject WHERE kind != 'PERSON' AND "
ORDER: Final = " ORDER BY name_key, id LIMIT $2"
FORMER: Final = "id IN (SELECT subject_id FROM credit_former_name WHERE {})"
BEGINS: Final = "name_key >= $1 AND name_key < $1 || chr(1114111)"
WITHIN: Final = "name_key LIKE '%' || $1 || '%' AND string_to_array(name_key, NULL) @> string_to_array($1, NULL)"


class Floor(credit_service_pb2_grpc.CreditServiceServicer):
    """Two RPCs. `reading` gives a connection."""

    def __init__(self, reading: Scope) -> None:
        self._reading = reading

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Any) -> pb.CheckSubjectResponse:
        today = datetime.now(SHANGHAI).date()
        async with self._reading() as run:
            rows = await run(CHECKED, request.code, today)
            by_standing: dict[str, list[Row]] = {}
            for row in rows:
                content = json.loads(row["content"]) if row["content"] else {}
                standing = row["record_id"] and standing_of(row["type_code"], severity=row["severity"], content=content)
                if standing and (ended_on(content) or date.max) > today:
                    by_standing.setdefault(standing, []).append(row)
            measures = await run(MEASURES, today) if by_standing else []
        gravest = next((each for each in STANDINGS if each in by_standing), "NONE")
        answer = pb.CheckSubjectResponse(subject_id=rows[0]["id"] if rows else "")
        answer.standing = measure_pb2.Standing.Value(f"STANDING_{gravest}")
        for measure in measures:
            purposes = json.loads(measure["purposes"])
            if request.purpose not in purposes or (measure["kind"] == "INCENTIVE" and gravest != "GOOD"):
                continue
            wanted = ("SERIOUS", "BAD") if measure["standing"] == "BAD" else (measure["standing"],)
            records = [row for each in wanted for row in by_standing.get(each, ())]
            if records:
                answer.measures.append(_applied(measure, purposes, records))
        return answer

    async def SearchSubjects(self, request: pb.SearchSubjectsRequest, context: Any) -> pb.SearchSubjectsResponse:
        named = WITHIN if request.match == subject_pb2.NAME_MATCH_ANYWHERE else BEGINS
        async with self._reading() as run:
            today = await run(SEARCH + named + ORDER, request.name, 21)
            former = await run(SEARCH + FORMER.format(named) + ORDER, request.name, 21)
        found = {row["id"]: row for row in (*today, *former)}
        rows = sorted(found.values(), key=lambda row: (row["name_key"], row["id"]))
        answer = pb.SearchSubjectsResponse(subjects=map(_subject, rows[:20]))
        if len(rows) > 20:
            answer.next_page_token = f"{rows[19]['name_key']}|{rows[19]['id']}"
        return answer


def _applied(measure: Row, purposes: list[str], records: list[Row]) -> measure_pb2.AppliedMeasure:
    return measure_pb2.AppliedMeasure(
        measure=measure_pb2.Measure(
            code=measure["code"],
            kind=measure_pb2.MeasureKind.Value(f"MEASURE_KIND_{measure['kind']}"),
            standing=measure_pb2.Standing.Value(f"STANDING_{measure['standing']}"),
            purposes=sorted(purposes),
            name=measure["zh"],
            name_en=measure["en"],
            legal_basis=measure["legal_basis"],
            published_on=measure["published_on"].isoformat(),
            withdrawn_on=measure["withdrawn_on"].isoformat() if measure["withdrawn_on"] else "",
        ),
        records=[
            measure_pb2.RecordRef(
                record_id=row["record_id"],
                type_code=row["type_code"],
                decided_on=row["decided_on"].isoformat(),
                disputed=row["disputed"],
            )
            for row in sorted(records, key=lambda row: row["record_id"])
        ],
    )


def _subject(row: Row) -> subject_pb2.Subject:
    return subject_pb2.Subject(
        id=row["id"],
        kind=subject_pb2.SubjectKind.Value(f"SUBJECT_KIND_{row['kind']}"),
        code=row["code"],
        id_type=row["id_type"],
        number_masked=row["number_masked"],
        name=row["name"],
        representative=row["representative"],
        status=subject_pb2.SubjectStatus.Value(f"SUBJECT_STATUS_{row['status']}"),
        region_code=row["region_code"],
        update_time=instant(row["updated_at"]),
    )


async def _serve(address: str, url: str) -> None:
    reading, _ = await postgresql(url)
    server = grpc.aio.server()
    # The other RPCs it does not have.
    floor = Floor(reading)  # type: ignore[abstract]
    credit_service_pb2_grpc.add_CreditServiceServicer_to_server(floor, server)
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(_serve(*sys.argv[1:]))
