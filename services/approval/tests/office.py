"""An office for tests: the approval service on a port, people with tokens, made-up items, cases to play."""

import asyncio
import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import message_factory
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from google.rpc.status_pb2 import Status
from sqlmodel import Session

from tulou.approval.v1 import approval_service_pb2 as pb
from tulou.approval.v1 import case_pb2, catalogue_service_pb2, item_pb2
from tulou.options.v1 import access_pb2
from tulou_approval.commands import database_of
from tulou_approval.convert import cases as convert
from tulou_approval.models import Case
from tulou_approval.operations import items as catalogue
from tulou_approval.operations.acts import Desk
from tulou_approval.operations.cases import create_case
from tulou_approval.seed.load import load_departments
from tulou_approval.server import service_of
from tulou_approval.settings import ApprovalSettings
from tulou_approval.wiring import NAME, desk_of
from tulou_chassis import history
from tulou_chassis.db import Database
from tulou_chassis.principals import Principal
from tulou_chassis.server import make_server
from tulou_chassis.syncdb import SyncDatabase
from tulou_gateway.tokens import mint

ISSUER: Final = "https://issuer.test"
SERVICES: Final = (
    pb.DESCRIPTOR.services_by_name["ApprovalService"],
    catalogue_service_pb2.DESCRIPTOR.services_by_name["CatalogueService"],
)
METHODS: Final = {method.name: method for service in SERVICES for method in service.methods}
PDF: Final = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 20
PNG: Final = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(64)


@dataclass(frozen=True, kw_only=True)
class Who:
    """Someone with a token."""

    subject: str
    roles: tuple[str, ...]
    org: str = ""
    region: str = "3506"

    @property
    def principal(self) -> Principal:
        return Principal(self.subject, frozenset(self.roles), self.org, self.region, self.subject)


CITIZEN: Final = Who(subject="citizen-1", roles=("citizen",))
COMPANY: Final = Who(subject="company-1", roles=("enterprise",))
CLERK: Final = Who(subject="clerk-1", roles=("clerk",), org="SCJG")
APPROVER: Final = Who(subject="approver-1", roles=("approver",), org="SCJG")
SUPERVISOR: Final = Who(subject="supervisor-1", roles=("supervisor",))
AUDITOR: Final = Who(subject="auditor-1", roles=("auditor",))
ADMIN: Final = Who(subject="admin-1", roles=("admin",))
PARTNER: Final = Who(subject="partner-1", roles=("partner",))
OPERATOR: Final = Who(subject="operator-1", roles=("operator",))
COURIER: Final = Who(subject="courier-1", roles=("courier",))
# Who acts where a test does not say: the first of them whom the RPC allows.
DESKS: Final = (CITIZEN, CLERK, APPROVER, ADMIN, PARTNER)

# Made up, with right check digits.
PERSON_NUMBER: Final = "350602199003070036"
COMPANY_NUMBER: Final = "91350600TULTEXT01X"
PHONE: Final = "13850612345"

FOOD: Final = "SCJG-XK-9001"
ON_THE_SPOT: Final = "SCJG-XK-9002"
COUNTY: Final = "SCJG-XK-9003"
OTHER_DEPARTMENT: Final = "SWJ-QT-9001"
FORM: Final[Mapping[str, Any]] = {"shop": "老街面馆", "area": 60, "owner": {"name": "陈实"}, "dishes": ["面", "汤"]}


def item(code: str, **changes: Any) -> dict[str, Any]:
    """An item as the proto's JSON: with a visit on the spot, one required material and a form with parts."""
    text = {"type": "string", "minLength": 1, "maxLength": 20}
    return {
        "code": code,
        "name": f"测试事项{code[-4:]}",
        "type": "ITEM_TYPE_LICENCE",
        "department_code": code.partition("-")[0],
        "level": "LEVEL_CITY",
        "region_code": "3506",
        "subject_type": "SUBJECT_TYPE_ANY",
        "legal_basis": ["《中华人民共和国食品安全法》第三十五条"],
        "statutory_days": 20,
        "promised_days": 8,
        "handling": "HANDLING_PROMISED",
        "substantive_check": True,
        "materials": [
            {"code": "M01", "name": "平面图", "necessity": "NECESSITY_REQUIRED", "max_size": "100000"},
            {"code": "M02", "name": "说明", "necessity": "NECESSITY_OPTIONAL", "media_types": ["text/plain"]},
        ],
        "form_schema": {
            "type": "object",
            "additionalProperties": False,
            "required": ["shop", "area", "owner"],
            "properties": {
                "shop": text,
                "area": {"type": "integer", "minimum": 1, "maximum": 5000},
                "owner": {"type": "object", "required": ["name"], "properties": {"name": text}},
                "dishes": {"type": "array", "maxItems": 3, "items": text},
                "kind": {"enum": ["面", "饭"]},
                "opens": {"type": "string", "format": "date"},
            },
        },
        "results": [
            {"name": "食品经营许可证", "kind": "RESULT_KIND_PERMIT", "licence_code": "016", "valid_months": 60}
        ],
        **changes,
    }


ITEMS: Final = (
    item(FOOD),
    item(ON_THE_SPOT, handling="HANDLING_INSTANT", promised_days=0, substantive_check=False, materials=[]),
    item(COUNTY, level="LEVEL_COUNTY", region_code="350602", subject_type="SUBJECT_TYPE_PERSON", materials=[]),
    item(
        OTHER_DEPARTMENT,
        type="ITEM_TYPE_OTHER",
        subject_type="SUBJECT_TYPE_ORGANISATION",
        substantive_check=False,
        materials=[],
        results=[{"name": "备案回执", "kind": "RESULT_KIND_APPROVAL"}],
    ),
)


@cache
def departments() -> list[dict[str, Any]]:
    """Those of the city, read once."""
    return load_departments()


class Refused(Exception):
    """A refusal, unpacked."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details()
        self.info, self.local, self.bad = ErrorInfo(), LocalizedMessage(), BadRequest()
        trailing = dict(error.trailing_metadata() or ())
        status = Status.FromString(trailing.get("grpc-status-details-bin", b""))
        for detail in status.details:
            for kind in (self.info, self.local, self.bad):
                if detail.Is(kind.DESCRIPTOR):
                    detail.Unpack(kind)
        super().__init__(f"{self.code.name} {self.reason}: {self.message} {self.fields}")

    @property
    def reason(self) -> str:
        return str(self.info.reason)

    @property
    def metadata(self) -> dict[str, str]:
        return dict(self.info.metadata)

    @property
    def fields(self) -> dict[str, str]:
        """{path: broken rule}."""
        return {violation.field: violation.reason for violation in self.bad.field_violations}


@dataclass(kw_only=True)
class Office:
    """The running service. `ask` calls it; `database` and `desk` reach behind it."""

    address: str
    settings: ApprovalSettings
    issuer_key: bytes
    database: SyncDatabase
    desk: Desk
    channel: grpc.Channel
    _tokens: dict[Who, str] = field(default_factory=dict)

    def token(self, who: Who, **changes: Any) -> str:
        """A token of this service's issuer."""
        claims: dict[str, Any] = {
            "issuer": ISSUER,
            "audience": "tulou",
            "subject": who.subject,
            "roles": list(who.roles),
            "org": who.org,
            "region": who.region,
            "name": who.subject,
        }
        return mint(self.issuer_key, **claims | changes)

    def metadata(self, by: Who | str | None, lang: str = "") -> list[tuple[str, str]]:
        """The headers of a call."""
        if isinstance(by, Who):
            # Signed once, for signing takes longer than most calls.
            if by not in self._tokens:
                self._tokens[by] = self.token(by)
            by = self._tokens[by]
        headers = [("authorization", f"Bearer {by}")] if by else []
        return [*headers, ("accept-language", lang)] if lang else headers

    def ask(
        self, rpc: str, /, *, by: Who | str | None = None, lang: str = "", timeout: float = 20, **fields: Any
    ) -> Any:
        """Calls an RPC by its name; gives its answer or raises Refused. A request_id that is wanted is made up."""
        return self.send(rpc, request(rpc, **fields), by=by, lang=lang, timeout=timeout)

    def send(self, rpc: str, message: Message, /, *, by: Who | str | None, lang: str = "", timeout: float = 20) -> Any:
        """Calls a unary RPC with a message."""
        try:
            return self._callable(rpc)(message, metadata=self.metadata(by, lang), timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(error) from None

    def stream(self, rpc: str, /, *, by: Who | str | None, timeout: float = 20, **fields: Any) -> Iterator[Any]:
        """Calls a server-streaming RPC."""
        try:
            yield from self._callable(rpc)(request(rpc, **fields), metadata=self.metadata(by), timeout=timeout)
        except grpc.RpcError as error:
            raise Refused(error) from None

    def upload(
        self,
        case_id: str,
        code: str = "M01",
        content: bytes = PDF,
        media_type: str = "application/pdf",
        *,
        by: Who | str | None = CITIZEN,
        request_id: str = "",
        filename: str = "文件.pdf",
        piece: int = 1_000_000,
    ) -> case_pb2.MaterialFile:
        """Uploads a file in pieces; gives what was kept or raises Refused."""
        pieces = [content[at : at + piece] for at in range(0, len(content), piece)] or [b""]
        first = pb.UploadMaterialRequest(
            case_id=case_id,
            material_code=code,
            request_id=request_id or str(uuid.uuid4()),
            filename=filename,
            file=HttpBody(content_type=media_type, data=pieces[0]),
        )
        more = [pb.UploadMaterialRequest(file=HttpBody(data=piece)) for piece in pieces[1:]]
        try:
            answer = self._callable("UploadMaterial")(iter([first, *more]), metadata=self.metadata(by), timeout=20)
        except grpc.RpcError as error:
            raise Refused(error) from None
        return answer.file

    def case(self, case_id: str, by: Who = CLERK) -> case_pb2.Case:
        """The case as it is now."""
        return self.ask("GetCase", by=by, case_id=case_id).case

    def act(self, rpc: str, case: case_pb2.Case, /, by: Who | None = None, **fields: Any) -> case_pb2.Case:
        """Acts on the case as last read; gives the case after it."""
        fields = {"case_id": case.id, "etag": case.etag} | {**ACTS[rpc], **fields}
        return self.ask(rpc, by=by or usual(rpc), **fields).case

    def draft(self, by: Who = CITIZEN, **changes: Any) -> case_pb2.Case:
        """A new draft."""
        return self.ask("CreateCase", by=by, case=application(**changes)).case

    def submitted(self, by: Who = CITIZEN, **changes: Any) -> case_pb2.Case:
        """A case that was handed in."""
        case = self.draft(by, **changes)
        if case.item_code == FOOD:
            self.upload(case.id, by=by)
            case = self.case(case.id, by)
        return self.act("SubmitCase", case, by)

    def in_state(self, state: str, by: Who = CITIZEN, **changes: Any) -> case_pb2.Case:
        """A case that was played to a state."""
        if state == "DRAFT":
            return self.draft(by, **changes)
        case = self.submitted(by, **changes)
        for method in WAYS[state]:
            case = self.act(method, case, by if "Withdraw" in method else None)
        assert case_pb2.CaseState.Name(case.state) == f"CASE_STATE_{state}"
        return case

    def row(self, case_id: str) -> Case:
        """The case's row."""
        return self.database.read(lambda session: session.get_one(Case, case_id))

    def breaks(self, case_id: str) -> list[str]:
        """What is wrong with the case's history."""
        row = self.row(case_id)
        heads = {case_id: history.Head(row.history_sequence, row.history_hash)}
        return self.database.read(lambda session: list(history.verify(session, self.desk.keyring, heads)))

    def case_at(self, now: datetime, *, by: Who = CITIZEN, **changes: Any) -> "Filed":
        """A draft made at an instant, to be acted on at others, past the API that asks the clock."""
        proto = application(**changes)

        def operation(session: Session) -> str:
            made = create_case(
                session,
                desk=self.desk,
                principal=by.principal,
                item_code=proto.item_code,
                title=proto.title,
                region_code=proto.region_code,
                applicant=convert.applicant_from_proto(proto.applicant),
                form=convert.form_from_proto(proto.form),
                now=now,
            )
            return made.id

        return Filed(office=self, id=self.database.write(operation))

    def _callable(self, rpc: str) -> Any:
        descriptor = METHODS[rpc]
        path = f"/{descriptor.containing_service.full_name}/{rpc}"
        shape = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
        }[descriptor.client_streaming, descriptor.server_streaming]
        return shape(
            path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
        )


@dataclass(kw_only=True)
class Filed:
    """A case whose acts happen at instants that the test chooses."""

    office: Office
    id: str
    today: str = ""

    def act(self, operation: Any, now: datetime, by: Who, **arguments: Any) -> "Filed":
        """Runs an operation of the service at that instant."""

        def transaction(session: Session) -> None:
            case = session.get_one(Case, self.id)
            operation(
                session,
                desk=self.office.desk,
                principal=by.principal,
                case_id=self.id,
                etag=f"v{case.version}",
                now=now,
                **arguments,
            )

        self.office.database.write(transaction)
        return self

    @property
    def row(self) -> Case:
        return self.office.row(self.id)


def usual(rpc: str) -> Who | None:
    """Who acts where a test does not say."""
    access = METHODS[rpc].GetOptions().Extensions[access_pb2.access]
    allowed = {access_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in access.roles}
    return next((who for who in DESKS if allowed & set(who.roles)), None)


# What each act takes beside the case; a test may change it.
ACTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "UpdateCase": {"case": {"title": "新的标题"}, "update_mask": "title"},
    "SubmitCase": {},
    "StartPreReview": {},
    "RequestCorrection": {"entries": [{"material_code": "M01", "requirement": "请补充比例尺"}]},
    "ResubmitCase": {},
    "AcceptCase": {},
    "DeclineCase": {"reason": "不属于本机关职权", "competent_organ": "漳州市商务局"},
    "StartReview": {"reviewers": ["甲", "乙"]},
    "PauseCase": {
        "ground": "PAUSE_GROUND_EXPERT_REVIEW",
        "notice_number": "漳特〔2026〕1号",
        "planned_days": 5,
        "reason": "专家评审",
    },
    "ResumeCase": {"result": "通过"},
    "ExtendCase": {"days": 5, "reason": "情况复杂", "approved_by": "局长"},
    "GrantCase": {"opinion": "符合条件"},
    "RefuseCase": {"reasons": "场所不符合要求", "remedies": "可在六十日内申请行政复议"},
    "CertifyCase": {},
    "DeliverCase": {"method": "DELIVERY_METHOD_PICKUP", "recipient": "陈实"},
    "CloseCase": {},
    "WithdrawCase": {"reason": "不办了"},
    "TerminateCase": {"reason": "申请人主体消失"},
}
_ACCEPTED = ("AcceptCase",)
_REVIEWED = (*_ACCEPTED, "StartReview")
_GRANTED = (*_REVIEWED, "GrantCase")
_DELIVERED = (*_GRANTED, "CertifyCase", "DeliverCase")
# How a submitted case comes to each state.
WAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "SUBMITTED": (),
    "PRE_REVIEW": ("StartPreReview",),
    "NEED_SUPPLEMENT": ("RequestCorrection",),
    "NOT_ACCEPTED": ("DeclineCase",),
    "ACCEPTED": _ACCEPTED,
    "UNDER_REVIEW": _REVIEWED,
    "SPECIAL_PROCEDURE": (*_REVIEWED, "PauseCase"),
    "EXTENDED": (*_REVIEWED, "ExtendCase"),
    "GRANTED": _GRANTED,
    "REFUSED": (*_REVIEWED, "RefuseCase"),
    "CERTIFIED": (*_GRANTED, "CertifyCase"),
    "DELIVERED": _DELIVERED,
    "CLOSED": (*_DELIVERED, "CloseCase"),
    "WITHDRAWN": ("WithdrawCase",),
    "TERMINATED": ("TerminateCase",),
}


def application(**changes: Any) -> case_pb2.Case:
    """What an applicant files; `applicant` is merged, the rest replaced."""
    person = {
        "subject_type": "SUBJECT_TYPE_PERSON",
        "name": "陈小实",
        "identity_number": PERSON_NUMBER,
        "phone": PHONE,
    }
    content = {"item_code": FOOD, "title": "老街面馆", "region_code": "350602", "form": dict(FORM), **changes}
    return ParseDict({**content, "applicant": {**person, **changes.get("applicant", {})}}, case_pb2.Case())


def request(rpc: str, /, **fields: Any) -> Message:
    """The request of an RPC; plain values as in proto JSON, messages as they are. A request_id is made up."""
    kind = message_factory.GetMessageClass(METHODS[rpc].input_type)
    if "request_id" in kind.DESCRIPTOR.fields_by_name:
        fields = {"request_id": str(uuid.uuid4()), **fields}
    message = kind()
    plain = {}
    for name, value in fields.items():
        if isinstance(value, Message):
            getattr(message, name).CopyFrom(value)
        else:
            plain[name] = value
    message.MergeFrom(ParseDict(plain, kind()))
    return message


@contextmanager
def served(settings: ApprovalSettings) -> Iterator[str]:
    """The service on a free port, in a thread of its own, with all its guards; gives the address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[grpc.aio.Server, Database, int]:
        service = service_of(settings)
        database = Database(settings.database_for(NAME), pool=10, publisher=service.publisher)
        server, *_ = make_server(service, settings, database)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, database, port

    server, database, port = asyncio.run_coroutine_threadsafe(start(), loop).result(30)

    async def stop() -> None:
        database.closing.set()
        await server.stop(1)
        await database.close()

    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def opened(settings: ApprovalSettings, issuer: Path) -> Iterator[Office]:
    """The service and what tests need of it. The database has been migrated."""
    database = database_of(settings)
    database.write(
        lambda session: catalogue.seed(session, departments=departments(), items=list(ITEMS), now=datetime.now(UTC))
    )
    with served(settings) as address, grpc.insecure_channel(address) as channel:
        yield Office(
            address=address,
            settings=settings,
            issuer_key=(issuer / "issuer.pem").read_bytes(),
            database=database,
            desk=desk_of(settings),
            channel=channel,
        )
    database.close()


def elsewhere(who: Who, **changes: Any) -> Who:
    """The same person with another organisation, region or role."""
    return replace(who, **changes)


def state_of(case: case_pb2.Case) -> str:
    """GRANTED for CASE_STATE_GRANTED."""
    return case_pb2.CaseState.Name(case.state).removeprefix("CASE_STATE_")


def item_message(code: str, **changes: Any) -> item_pb2.Item:
    """`item` as a message."""
    return ParseDict(item(code, **changes), item_pb2.Item())


def environment(settings: ApprovalSettings, **changes: str) -> dict[str, str]:
    """What a process of the service is told these settings by."""
    own = {
        "TULOU_DATABASE_URL": settings.database_url,
        "TULOU_OIDC_ISSUER": settings.oidc_issuer,
        "TULOU_OIDC_JWKS": settings.oidc_jwks,
        "TULOU_KEYRING_FILE": str(settings.keyring_file),
        "TULOU_BLOB_DIR": str(settings.blob_dir),
    }
    others = {name: value for name, value in os.environ.items() if not name.startswith("TULOU_")}
    return {**others, **own, **changes}
