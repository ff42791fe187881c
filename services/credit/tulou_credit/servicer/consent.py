"""The gRPC edge of authorisations."""

from sqlmodel import Session

from tulou.credit.v1 import authorisation_pb2, consent_service_pb2_grpc
from tulou.credit.v1 import consent_service_pb2 as pb
from tulou_chassis import paging
from tulou_chassis.calls import current_principal
from tulou_credit import proceedings_queries
from tulou_credit.convert import authorisations as to
from tulou_credit.convert.values import name_of
from tulou_credit.domain.privacy import masked_text
from tulou_credit.operations import consent
from tulou_credit.servicer.base import Context, Servicer, now


class ConsentServicer(Servicer, consent_service_pb2_grpc.ConsentServiceServicer):
    """ConsentService."""

    async def GrantAuthorisation(
        self, request: pb.GrantAuthorisationRequest, context: Context
    ) -> pb.GrantAuthorisationResponse:
        principal, wanted = current_principal(), request.authorisation
        valid_from, valid_to = to.days_of(wanted)

        def transaction(session: Session) -> pb.GrantAuthorisationResponse:
            granted = consent.grant(
                session,
                principal=principal,
                grantee=wanted.grantee,
                # People write numbers into it, and a query names the same.
                purpose=masked_text(wanted.purpose),
                scope=frozenset(wanted.type_codes),
                valid_from=valid_from,
                valid_to=valid_to,
                uses_max=wanted.uses_max or None,
                proof=wanted.proof,
                channel=name_of(authorisation_pb2.ConsentChannel, wanted.channel),
                now=now(),
                house=self._house,
            )
            return pb.GrantAuthorisationResponse(authorisation=to.authorisation_to_proto(granted))

        return await self._write(transaction)

    async def GetAuthorisation(
        self, request: pb.GetAuthorisationRequest, context: Context
    ) -> pb.GetAuthorisationResponse:
        principal = current_principal()
        found = await self._database.read(
            lambda session: proceedings_queries.get_authorisation(
                session, principal=principal, authorisation_id=request.authorisation_id, house=self._house
            )
        )
        return pb.GetAuthorisationResponse(authorisation=to.authorisation_to_proto(found))

    async def ListAuthorisations(
        self, request: pb.ListAuthorisationsRequest, context: Context
    ) -> pb.ListAuthorisationsResponse:
        principal = current_principal()
        size = paging.page_size(request, default=20)
        after = paging.time_key(request)
        found = await self._database.read(
            lambda session: proceedings_queries.list_authorisations(
                session,
                principal=principal,
                as_grantee=request.granted_to_me,
                after=after,
                limit=size + 1,
                house=self._house,
            )
        )
        answer = pb.ListAuthorisationsResponse(
            authorisations=[to.authorisation_to_proto(each) for each in found[:size]]
        )
        if len(found) > size:
            answer.next_page_token = paging.next_token(request, [found[size - 1].created_at, found[size - 1].id])
        return answer

    async def RevokeAuthorisation(
        self, request: pb.RevokeAuthorisationRequest, context: Context
    ) -> pb.RevokeAuthorisationResponse:
        principal = current_principal()

        def transaction(session: Session) -> pb.RevokeAuthorisationResponse:
            revoked = consent.revoke(
                session,
                principal=principal,
                authorisation_id=request.authorisation_id,
                etag=request.etag,
                now=now(),
                house=self._house,
            )
            session.flush()
            return pb.RevokeAuthorisationResponse(authorisation=to.authorisation_to_proto(revoked))

        return await self._write(transaction)
