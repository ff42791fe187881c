"""The credit service on a port in this process, for tests of its edge: people with tokens, any RPC, uploads."""

import asyncio
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import grpc
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import message_factory
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, LocalizedMessage
from google.rpc.status_pb2 import Status
from sqlmodel import func, select

from services.credit.tests.hostile.recipes import PENALTY, PENALTY_HEADER, csv_file
from services.credit.tests.store import firm, person
from tulou.credit.v1 import import_pb2
from tulou.options.v1 import access_pb2
from tulou_chassis.db import Database
from tulou_chassis.keyring import create_keyring
from tulou_chassis.server import make_server
from tulou_chassis.syncdb import SyncDatabase
from tulou_credit import commands
from tulou_credit.blobs import import_files
from tulou_credit.domain.records import civil_date
from tulou_credit.operations import imports
from tulou_credit.server import service_of
from tulou_credit.settings import CreditSettings
from tulou_credit.wiring import NAME, House, house_of
from tulou_gateway.tokens import create_issuer, mint

ISSUER: Final = "https://issuer.test"
PDF: Final = b"%PDF-1.4\n" + b"1 0 obj << >> endobj\n" * 20
NOBODY: Final = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Who:
    """Someone with a token."""

    subject: str
    roles: tuple[str, ...]
    org: str = ""
    region: str = "3506"
    name: str = "某人"
    identity: str = ""


CITIZEN: Final = Who(subject="citizen-1", roles=("citizen",), name="张三")
COMPANY: Final = Who(subject="company-1", roles=("enterprise",))
CLERK: Final = Who(subject="clerk-1", roles=("clerk",), org="SCJG")
APPROVER: Final = Who(subject="approver-1", roles=("approver",), org="SCJG")
OFFICE: Final = Who(subject="office-1", roles=("clerk",), org="FGW")
SUPERVISOR: Final = Who(subject="supervisor-1", roles=("supervisor",))
AUDITOR: Final = Who(subject="auditor-1", roles=("auditor",))
ADMIN: Final = Who(subject="admin-1", roles=("admin",))
PARTNER: Final = Who(subject="partner-1", roles=("partner",), org="BANK01")
OPERATOR: Final = Who(subject="operator-1", roles=("operator",))
COURIER: Final = Who(subject="courier-1", roles=("courier",))
EVERYONE: Final = (
    *(CITIZEN, COMPANY, CLERK, APPROVER, OFFICE, SUPERVISOR),
    *(AUDITOR, ADMIN, PARTNER, OPERATOR, COURIER),
)


def elsewhere(who: Who, **changes: Any) -> Who:
    """The same person with another organisation, region, role or identity."""
    return replace(who, **changes)


class Refused(Exception):
    """A refusal, unpacked."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details()
        self.info, self.local, self.bad = ErrorInfo(), LocalizedMessage(), BadRequest()
        trailing = dict(error.trailing_metadata() or ())
        self.status = Status.FromString(trailing.get("grpc-status-details-bin", b""))
        for detail in self.status.details:
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
class Edge:
    """The running service. `ask` calls it; `database` and `house` reach behind it."""

    settings: CreditSettings
    issuer_key: bytes
    database: SyncDatabase
    house: House
    channel: grpc.Channel
    methods: dict[str, Any]
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
            "name": who.name,
            "identity": who.identity,
        }
        return mint(self.issuer_key, **claims | changes)

    def ask(self, rpc: str, /, *, by: Who | str | None = None, lang: str = "", **fields: Any) -> Any:
        """Calls an RPC by its name; gives its answer or raises Refused. A request_id that is wanted is made up.

        Of an RPC that answers in a stream, all its messages.
        """
        return self.send(rpc, self.request(rpc, **fields), by=by, lang=lang)

    def send(self, rpc: str, message: Message | Sequence[Message], /, *, by: Who | str | None, lang: str = "") -> Any:
        """Calls an RPC with a message, or with those of a stream."""
        asked = message if isinstance(message, Message) else iter(message)
        try:
            answer = self._callable(rpc)(asked, metadata=self._metadata(by, lang), timeout=20)
            return list(answer) if self.methods[rpc].server_streaming else answer
        except grpc.RpcError as error:
            raise Refused(error) from None

    def first(self, rpc: str, /, *, by: Who | str | None, seconds: float, **fields: Any) -> Any:
        """The first message of a stream without an end; None if none came in time."""
        try:
            call = self._callable(rpc)(self.request(rpc, **fields), metadata=self._metadata(by, ""), timeout=seconds)
            found = next(call)
            call.cancel()
            return found
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return None
            raise Refused(error) from None
        except StopIteration:
            return None

    def refused(self, rpc: str, /, *, by: Who | str | None = None, lang: str = "", **fields: Any) -> Refused:
        """The refusal of a call that must be refused."""
        try:
            answer = self.ask(rpc, by=by, lang=lang, **fields)
        except Refused as refused:
            return refused
        raise AssertionError(f"{rpc} was not refused: {answer}")

    def request(self, rpc: str, /, **fields: Any) -> Message:
        """The request of an RPC; plain values as in proto JSON. A request_id is made up."""
        kind = message_factory.GetMessageClass(self.methods[rpc].input_type)
        if "request_id" in kind.DESCRIPTOR.fields_by_name:
            fields = {"request_id": str(uuid.uuid4()), **fields}
        return ParseDict(fields, kind())

    def upload(
        self,
        rpc: str,
        content: bytes = PDF,
        media_type: str = "application/pdf",
        *,
        by: Who | str | None,
        lang: str = "",
        filename: str = "文件.pdf",
        piece: int = 1_000_000,
        **fields: Any,
    ) -> Any:
        """Uploads a file in pieces; gives the answer or raises Refused."""
        pieces = [content[at : at + piece] for at in range(0, len(content), piece)] or [b""]
        first = self.request(rpc, filename=filename, **fields)
        first.file.CopyFrom(HttpBody(content_type=media_type, data=pieces[0]))  # type: ignore[attr-defined]
        more = [type(first)(file=HttpBody(data=each)) for each in pieces[1:]]
        return self.send(rpc, [first, *more], by=by, lang=lang)

    def evidence(self, by: Who) -> str:
        """The id of a file that waits for a proceeding."""
        return str(self.upload("UploadEvidence", by=by).evidence_id)

    def taken(self, content: bytes, by: Who = CLERK, **how: Any) -> import_pb2.ImportMetadata:
        """Uploads a file of rows and takes it in, as the worker would; gives what became of it."""
        operation = self.upload("UploadImport", content, "text/csv", by=by, **{"filename": "处罚.csv"} | how).operation
        import_id = operation.name.removeprefix("imports/")
        imports.run(
            self.database,
            import_id=import_id,
            holder=import_id,
            open_file=import_files(self.settings, self.house.keyring).open,
            clock=lambda: datetime.now(UTC),
            house=self.house,
            stop=lambda: False,
        )
        told = import_pb2.ImportMetadata()
        self.ask("GetImport", by=by, import_id=import_id).operation.metadata.Unpack(told)
        return told

    def breach(self, **changes: Any) -> tuple[Who, str]:
        """Who acts for a firm of its own, and a record of the firm: public, and old enough to be repaired."""
        code = firm()
        sent = self.ask("PutRecord", by=CLERK, **entry(code, **changes))
        return elsewhere(COMPANY, subject=f"company-{code}", identity=code), str(sent.record_id)

    def own(self, who: Who) -> str:
        """The id of the subject that someone is, which credit knows."""
        if "enterprise" in who.roles:
            return str(self.ask("SearchSubjects", code=who.identity).subjects[0].id)
        asked = {"id_type": "身份证", "number": who.identity, "name": who.name}
        return str(self.ask("FindPerson", by=who, **asked).subject.id)

    def citizen(self, **changes: Any) -> Who:
        """A person of whom a record is known that is not public: a refusal."""
        number = person()
        who = elsewhere(CITIZEN, subject=f"citizen-{number[-6:]}", identity=number, name="欧阳小某")
        told = {"subject_kind": "SUBJECT_KIND_PERSON", "id_type": "身份证", "subject_name": who.name}
        self.ask("PutRecord", by=CLERK, **entry(number, "REFUSAL", **told | changes))
        return who

    def rows(self, table: type[Any], *where: Any) -> int:
        """How many rows a table has."""
        query = select(func.count()).select_from(table).where(*where)
        return self.database.read(lambda session: session.exec(query).one())

    def _metadata(self, by: Who | str | None, lang: str) -> list[tuple[str, str]]:
        if isinstance(by, Who):
            # Signed once, for signing takes longer than most calls.
            if by not in self._tokens:
                self._tokens[by] = self.token(by)
            by = self._tokens[by]
        headers = [("authorization", f"Bearer {by}")] if by else []
        return [*headers, ("accept-language", lang)] if lang else headers

    def _callable(self, rpc: str) -> Any:
        method = self.methods[rpc]
        shape = {
            (False, False): self.channel.unary_unary,
            (False, True): self.channel.unary_stream,
            (True, False): self.channel.stream_unary,
        }[method.client_streaming, method.server_streaming]
        return shape(
            f"/{method.containing_service.full_name}/{rpc}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
        )


def days_ago(days: int) -> str:
    """The day so many days before today in Zhangzhou, as protos have it."""
    return (civil_date(datetime.now(UTC)) - timedelta(days=days)).isoformat()


CONTENTS: Final[dict[str, dict[str, Any]]] = {
    "ABNORMAL_LIST": {"reason": "未按规定公示年度报告", "listed_on": "2026-04-01"},
    "SERIOUS_LIST": {
        "reason": "恶意拖欠农民工工资",
        "listed_on": "2026-04-01",
        "legal_basis": "《保障农民工工资支付条例》第四十八条",
    },
    "HONOUR": {"title": "守合同重信用企业", "granted_on": "2026-01-05"},
    "REFUSAL": {
        "item": "食品经营许可",
        "document_number": "漳市监不许〔2026〕1号",
        "organ": "漳州市市场监督管理局",
        "decided_on": "2026-01-05",
    },
    "CONTRACT": {"contract": "食堂食材采购", "performance": "已履行", "signed_on": "2026-01-05"},
}


def entry(code: str, type_code: str = "ABNORMAL_LIST", **changes: Any) -> dict[str, Any]:
    """The fields of PutRecord, of a firm unless told otherwise."""
    return {
        "type_code": type_code,
        "subject_kind": "SUBJECT_KIND_ORGANISATION",
        "subject_code": code,
        "subject_name": f"漳州第{code[-7:]}茶厂",
        "source_key": f"{type_code}-1",
        "valid_from": days_ago(100),
        "organ_name": "漳州市市场监督管理局",
        "content": CONTENTS.get(type_code, {}),
    } | changes


def authorisation(**changes: Any) -> dict[str, Any]:
    """What a subject grants the bank, as the proto's JSON."""
    return {
        "grantee": PARTNER.org,
        "purpose": "贷款审查",
        "type_codes": ["REFUSAL"],
        "valid_from": days_ago(1),
        "valid_to": days_ago(-30),
        "proof": "ab" * 32,
        "channel": "CONSENT_CHANNEL_ONLINE",
    } | changes


def access_of(method: Any) -> tuple[bool, set[str]]:
    """Whether an RPC is open to everyone, and else its roles, as its proto says."""
    rule = method.GetOptions().Extensions[access_pb2.access]
    return rule.anonymous, {access_pb2.Role.Name(role).removeprefix("ROLE_").lower() for role in rule.roles}


def penalties(*rows: dict[str, str]) -> bytes:
    """A file of penalties with these columns changed."""
    return csv_file(*(PENALTY | row for row in rows), header=PENALTY_HEADER)


@contextmanager
def served(settings: CreditSettings) -> Iterator[str]:
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
def opened(database_url: str, folder: Path) -> Iterator[Edge]:
    """The service with a new database of its own, and what tests need of it."""
    create_issuer(folder / "issuer")
    create_keyring(folder / "keyring.json")
    settings = CreditSettings(
        database_url=database_url,
        oidc_issuer=ISSUER,
        oidc_jwks=str(folder / "issuer" / "jwks.json"),
        keyring_file=folder / "keyring.json",
        blob_dir=folder / "blobs",
    )
    commands.migrate(settings)
    commands.seed(settings)
    database = commands.database_of(settings)
    services = service_of(settings).descriptors
    with served(settings) as address, grpc.insecure_channel(address) as channel:
        yield Edge(
            settings=settings,
            issuer_key=(folder / "issuer" / "issuer.pem").read_bytes(),
            database=database,
            house=house_of(settings),
            channel=channel,
            methods={method.name: method for service in services for method in service.methods},
        )
    database.close()
