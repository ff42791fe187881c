"""The gRPC edge of records and of the queries for them."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from typing import Final

from sqlmodel import Session

from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import record_pb2
from tulou_chassis import paging
from tulou_chassis.calls import CURRENT, current_principal
from tulou_chassis.violations import InvalidFields, Violation
from tulou_chassis.watch import watch_outbox
from tulou_civics.divisions import UnknownDivision, current_code
from tulou_credit import proceedings_queries, queries, visible
from tulou_credit.convert import records as to
from tulou_credit.convert.values import (
    day_or_today,
    name_of,
    time_or_now,
    value_of,
)
from tulou_credit.domain.privacy import masked_text
from tulou_credit.domain.records import WithdrawalReason, civil_date
from tulou_credit.models import Subject
from tulou_credit.operations import consent, entries, records
from tulou_credit.operations.parties import CITY, is_department, owns, sender_of
from tulou_credit.servicer.base import Context, now
from tulou_credit.servicer.subjects import SubjectServicer
from tulou_credit.wiring import NAME

MOST: Final = 500


class CreditServicer(SubjectServicer):
    """CreditService: its RPCs about records, with those about subjects inherited."""

    async def ListRecords(self, request: pb.ListRecordsRequest, context: Context) -> pb.ListRecordsResponse:
        at = now()
        on = day_or_today(request.on, at)
        known_at = _known_at(request, at)
        size = paging.page_size(request, default=20)
        after = paging.date_key(request)

        def query(session: Session) -> pb.ListRecordsResponse:
            subject = queries.get_subject(session, subject_id=request.subject_id)
            found = queries.as_of(
                session,
                subject_id=subject.id,
                on=on,
                known_at=known_at,
                public_only=True,
                limit=size + 1,
                after=after,
                types=(request.type_code,) if request.type_code else (),
            )
            shown = to.fitting([to.record_to_proto(*each) for each in found[:size]])
            answer = pb.ListRecordsResponse(records=shown)
            if len(found) > len(shown):
                last = found[len(shown) - 1][0]
                answer.next_page_token = paging.next_token(request, [last.decided_on.isoformat(), last.record_id])
            return answer

        return await self._database.read(query)

    async def QueryRecords(self, request: pb.QueryRecordsRequest, context: Context) -> pb.QueryRecordsResponse:
        principal, at = current_principal(), now()
        on = day_or_today(request.on, at)
        known_at = _known_at(request, at)

        def transaction(session: Session) -> pb.QueryRecordsResponse:
            log = consent.open_query(
                session,
                principal=principal,
                subject=session.get(Subject, request.subject_id),
                purpose=masked_text(request.purpose),
                record_types=frozenset(request.type_codes),
                now=at,
                house=self._house,
            )
            own = owns(session, principal=principal, subject_id=log.subject_id, house=self._house)
            found = visible.queried(
                session, log=log, own=own, on=on, known_at=known_at, limit=MOST + 1, house=self._house
            )
            shown = to.fitting([to.record_to_proto(*each) for each in found[:MOST]])
            return pb.QueryRecordsResponse(
                records=shown, query=to.query_to_proto(log), truncated=len(found) > len(shown)
            )

        return await self._write(transaction)

    async def ListQueries(self, request: pb.ListQueriesRequest, context: Context) -> pb.ListQueriesResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        found = await self._database.read(
            lambda session: proceedings_queries.list_queries(
                session,
                principal=principal,
                subject_id=request.subject_id,
                after=after,
                limit=size + 1,
                house=self._house,
            )
        )
        answer = pb.ListQueriesResponse(queries=[to.query_to_proto(each) for each in found[:size]])
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].asked_at, found[size - 1].id])
        return answer

    async def GetRecord(self, request: pb.GetRecordRequest, context: Context) -> pb.GetRecordResponse:
        principal, today = CURRENT.get().principal, civil_date(now())
        found = await self._database.read(
            lambda session: visible.get_record(
                session, principal=principal, record_id=request.record_id, on=today, house=self._house
            )
        )
        return pb.GetRecordResponse(record=to.record_to_proto(*found))

    async def ListRecordVersions(
        self, request: pb.ListRecordVersionsRequest, context: Context
    ) -> pb.ListRecordVersionsResponse:
        principal = current_principal()
        versions, record = await self._database.read(
            lambda session: visible.list_versions(
                session, principal=principal, record_id=request.record_id, house=self._house
            )
        )
        newest_first = [to.record_to_proto(each, record) for each in reversed(versions)]
        return pb.ListRecordVersionsResponse(versions=reversed(to.fitting(newest_first)))

    async def PutRecord(self, request: pb.PutRecordRequest, context: Context) -> pb.PutRecordResponse:
        principal = current_principal()
        source, entry = sender_of(principal), to.entry_from_proto(request)

        def transaction(session: Session) -> pb.PutRecordResponse:
            put = entries.put(
                session,
                entry=entry,
                source=source,
                origin=principal.subject[:64],
                now=now(),
                house=self._house,
            )
            return pb.PutRecordResponse(record_id=put.record_id, outcome=value_of(pb.PutOutcome, put.outcome))

        return await self._write(transaction)

    async def WithdrawRecord(self, request: pb.WithdrawRecordRequest, context: Context) -> pb.WithdrawRecordResponse:
        principal = current_principal()
        reason = WithdrawalReason(name_of(record_pb2.WithdrawalReason, request.reason))

        def transaction(session: Session) -> pb.WithdrawRecordResponse:
            record = queries.get_record(session, record_id=request.record_id)
            if not is_department(principal) or principal.organisation != record.source:
                raise queries.RecordNotFound(request.record_id)
            records.withdraw(session, record_id=record.id, reason=reason, now=now(), house=self._house)
            session.flush()
            return pb.WithdrawRecordResponse(record=to.record_to_proto(records.known_version(session, record), record))

        return await self._write(transaction)

    async def GetTimeliness(self, request: pb.GetTimelinessRequest, context: Context) -> pb.GetTimelinessResponse:
        principal = current_principal()
        source = request.source or principal.organisation
        if source != principal.organisation and not principal.roles & {"supervisor", "auditor"}:
            raise InvalidFields(
                [Violation("source", "own", "只能查询本部门的及时率。", "Only of one's own department.")]
            )
        first, last = date.fromisoformat(request.received_from), date.fromisoformat(request.received_to)
        found = await self._database.read(
            lambda session: queries.timeliness(session, source=source, from_=first, to=last)
        )
        return pb.GetTimelinessResponse(timeliness=to.timeliness_to_proto(found))

    async def WatchEvents(
        self, request: pb.WatchEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchEventsResponse]:
        principal = current_principal()
        try:
            region = current_code(principal.region)
        except UnknownDivision:
            # Who is bound to no region sees none.
            return
        # What persons do with what is known of them has no region: it is for those who run or supervise the platform.
        if region == CITY and principal.roles & {"operator", "supervisor"}:
            region = ""
        async for event in watch_outbox(
            self._database, source=NAME, region=region, after=request.after, types=list(request.types)
        ):
            yield pb.WatchEventsResponse(event=event)


def _known_at(request: pb.ListRecordsRequest | pb.QueryRecordsRequest, at: datetime) -> datetime:
    return time_or_now(request.known_time, given=request.HasField("known_time"), now=at, field="known_time")
