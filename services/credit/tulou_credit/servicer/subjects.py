"""The gRPC edge of subjects, checks and grades."""

from sqlmodel import Session

from tulou.credit.v1 import credit_service_pb2 as pb
from tulou.credit.v1 import credit_service_pb2_grpc
from tulou_chassis import paging
from tulou_chassis.calls import CURRENT, current_principal
from tulou_credit import measure_queries, queries, visible
from tulou_credit.convert import measures as measures_to
from tulou_credit.convert import subjects as to
from tulou_credit.convert.values import day_or_today
from tulou_credit.domain.records import civil_date
from tulou_credit.operations import entries
from tulou_credit.servicer.base import Context, Servicer, now


class SubjectServicer(Servicer, credit_service_pb2_grpc.CreditServiceServicer):
    """The RPCs of CreditService about subjects."""

    async def SearchSubjects(self, request: pb.SearchSubjectsRequest, context: Context) -> pb.SearchSubjectsResponse:
        size = paging.page_size(request, default=20)
        keys = paging.position(request, keys=2)
        after = (str(keys[0]), str(keys[1])) if keys else None
        filter = to.filter_from_proto(request)
        found = await self._database.read(
            lambda session: queries.search_subjects(session, filter=filter, after=after, limit=size + 1)
        )
        answer = pb.SearchSubjectsResponse(subjects=[to.subject_to_proto(each) for each in found[:size]])
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].name_key, found[size - 1].id])
        return answer

    async def GetSubject(self, request: pb.GetSubjectRequest, context: Context) -> pb.GetSubjectResponse:
        principal = CURRENT.get().principal

        def query(session: Session) -> pb.GetSubjectResponse:
            subject, own = visible.get_subject(
                session, principal=principal, subject_id=request.subject_id, house=self._house
            )
            former = queries.former_names(session, subject_id=subject.id)
            return pb.GetSubjectResponse(subject=to.subject_to_proto(subject, own=own, former=former))

        return await self._database.read(query)

    async def FindPerson(self, request: pb.FindPersonRequest, context: Context) -> pb.FindPersonResponse:
        principal = current_principal()
        subject, own = await self._database.read(
            lambda session: visible.find_person(
                session,
                principal=principal,
                id_type=request.id_type,
                number=request.number,
                name=request.name,
                house=self._house,
            )
        )
        return pb.FindPersonResponse(subject=to.subject_to_proto(subject, own=own))

    async def RegisterSubject(self, request: pb.RegisterSubjectRequest, context: Context) -> pb.RegisterSubjectResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.RegisterSubjectResponse:
            subject = entries.register(
                session,
                principal=principal,
                kind=to.kind_from_proto(request.kind),
                code=request.code,
                id_type=request.id_type,
                name=request.name,
                now=now(),
                house=self._house,
            )
            return pb.RegisterSubjectResponse(subject=to.subject_to_proto(subject))

        return await self._write(transaction)

    async def CheckSubject(self, request: pb.CheckSubjectRequest, context: Context) -> pb.CheckSubjectResponse:
        today = civil_date(now())
        check = await self._database.read(
            lambda session: measure_queries.check_subject(
                session,
                code=request.code,
                id_type=request.id_type,
                purpose=request.purpose,
                on=today,
                house=self._house,
            )
        )
        return measures_to.check_to_proto(check)

    async def GradeSubject(self, request: pb.GradeSubjectRequest, context: Context) -> pb.GradeSubjectResponse:
        principal = current_principal()
        on = day_or_today(request.on, now())

        def query(session: Session) -> pb.GradeSubjectResponse:
            visible.check_grade_asker(session, principal=principal, subject_id=request.subject_id, house=self._house)
            found = measure_queries.grade_subject(session, subject_id=request.subject_id, on=on, house=self._house)
            return pb.GradeSubjectResponse(grading=measures_to.grading_to_proto(found))

        return await self._database.read(query)
