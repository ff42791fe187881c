"""The demo's first chapter: one applicant's and one department's day, with every request shown."""

import json
import secrets
from collections.abc import Iterable
from typing import Any, Final, Self
from urllib.parse import unquote
from uuid import uuid4

import httpx
from rich.console import Console
from rich.markup import escape
from rich.rule import Rule

from tulou_city import sample
from tulou_city.layout import City
from tulou_city.tokens import token

PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
BODY_CHARACTERS: Final = 240
# What of a case tells the story; all of it can be read in the API's documentation.
TOLD: Final = ("number", "state", "handling", "deadlines", "decision", "licence")
out = Console(highlight=False, soft_wrap=True)


class Day:
    """The people, their tokens, the one trace that all they do is part of, and the case as it was last seen."""

    applicant = "citizen"

    def __init__(self, city: City) -> None:
        self.city = city
        self.trace = secrets.token_hex(16)
        self.case: dict[str, Any] = {}
        self.tokens = {role: token(city, role=role, sub=f"demo-{role}") for role in ("citizen", "clerk", "approver")}
        self.client = httpx.Client(base_url=city.url, timeout=30, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def play(self) -> None:
        """From looking for the item to reading the notices."""
        tell("林知夏 wants to open a tea restaurant. Which licence does she need, and what must she hand in?")
        self.call("", "GET", "/approval/v1/items", query="食品经营", pageSize="3")
        item = self.call("", "GET", f"/approval/v1/items/{sample.ITEM}")["item"]
        needed = [one["code"] for one in item["materials"] if one["necessity"] == "NECESSITY_REQUIRED"]

        tell("She files a draft, uploads the materials and hands it in.")
        self.hand_in(sample.CASE, needed)

        tell("The market supervision bureau's window looks at it and asks, once, for everything that is missing.")
        self.act("clerk", "startPreReview")
        entries = [{"materialCode": sample.FLOOR_PLAN, "requirement": "平面图须标明各功能间名称和面积"}]
        self.act("clerk", "requestCorrection", entries=entries)

        tell("She hands it in again; the window accepts, and the decision clock starts.")
        self.upload(sample.FLOOR_PLAN, "更正后的平面图.pdf")
        self.act("citizen", "resubmit")
        self.act("clerk", "accept")

        tell("Two people review it, because the premises must be looked at (行政许可法 art. 34).")
        self.act("approver", "startReview", reviewers=["王审查", "李审查"])

        tell("An expert review stops the clock (art. 45); then the bureau's head extends the time (art. 42).")
        pause = {"ground": "PAUSE_GROUND_EXPERT_REVIEW", "noticeNumber": "漳市监特〔2026〕1号", "plannedDays": 5}
        self.act("approver", "pause", **pause, reason="加工流程须经专家评审")
        self.act("approver", "resume", result="评审通过")
        self.act("approver", "extend", days=10, reason="现场整改需要时间", approvedBy="陈局长")

        tell("The licence is granted, issued and handed over; the case is archived.")
        self.act("approver", "grant", opinion="符合条件，准予许可")
        self.act("clerk", "certify")
        self.act("clerk", "deliver", method="DELIVERY_METHOD_PICKUP", recipient="林知夏")
        self.act("clerk", "close")

        tell("Anyone with the case's number and the end of her identity number can see how it stands; she sees more.")
        tail = sample.IDENTITY_NUMBER[-4:]
        self.call("", "POST", "/approval/v1/cases:track", {"number": self.case["number"], "identityTail": tail})
        self.call("citizen", "GET", f"/approval/v1/cases/{self.case['id']}/clock")
        self.call("citizen", "GET", "/approval/v1/notices", pageSize="5")

        out.print(Rule(style="dim"))
        out.print(f"One case, one trace: [bold]{self.city.url}/traces/{self.trace}[/]")

    def hand_in(self, case: dict[str, Any], materials: Iterable[str]) -> None:
        """The applicant's draft, with the materials of these codes, submitted."""
        body = {"requestId": str(uuid4()), "case": case | {"form": sample.FORM}}
        self.case = self.call(self.applicant, "POST", "/approval/v1/cases", body)["case"]
        for code in materials:
            self.upload(code, f"{code}.pdf")
        self.act(self.applicant, "submit")

    def act(self, who: str, verb: str, **fields: Any) -> None:
        """One step of the case, with its etag as last seen."""
        body = {"requestId": str(uuid4()), "etag": self.case["etag"], **fields}
        self.case = self.call(who, "POST", f"/approval/v1/cases/{self.case['id']}:{verb}", body)["case"]

    def upload(self, code: str, filename: str) -> None:
        """One file; it changes the case's etag."""
        path = f"/approval/v1/cases/{self.case['id']}/materials/{code}:upload"
        self.call(self.applicant, "POST", path, PDF, requestId=str(uuid4()), filename=filename)
        self.case = self.call(self.applicant, "GET", f"/approval/v1/cases/{self.case['id']}", show=False)["case"]

    def call(self, who: str, method: str, path: str, body: Any = None, *, show: bool = True, **query: str) -> Any:
        """Sends one request as `who` (nobody when empty) and returns the answer. With `show` it is shown, and part of
        the trace."""
        headers = {"accept-language": "zh-CN"}
        if show:
            headers["traceparent"] = f"00-{self.trace}-{secrets.token_hex(8)}-01"
        if who:
            headers["authorization"] = f"Bearer {self.tokens[who]}"
        if isinstance(body, bytes):
            content, headers["content-type"] = body, "application/pdf"
        elif body is not None:
            content, headers["content-type"] = json.dumps(body, ensure_ascii=False).encode(), "application/json"
        else:
            content = b""
        response = self.client.request(method, path, params=query, content=content, headers=headers)
        if not response.is_success:
            raise SystemExit(f"{method} {path} was refused with {response.status_code}:\n{response.text}")
        answer = response.json()
        if show:
            target = unquote(response.request.url.raw_path.decode())
            out.print(f"[bold cyan]{who or 'anyone':>9}[/] [bold]{method}[/] {escape(target)}")
            if body:
                shown = f"{len(body)} bytes" if isinstance(body, bytes) else short(body)
                out.print(f"          [dim]{escape(shown)}[/]")
            out.print(f"          [green]{response.status_code}[/] {escape(short(told(answer)))}")
        return answer


def tell(text: str) -> None:
    """What happens next, in a sentence."""
    out.print()
    out.print(Rule(style="dim"))
    out.print(f"[bold]{text}[/]")


def short(value: Any) -> str:
    """JSON on one line, cut where it gets long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= BODY_CHARACTERS else f"{text[:BODY_CHARACTERS]} …"


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """The part of an answer that tells the story."""
    case = answer.get("case")
    return {name: case[name] for name in TOLD if name in case} if case else answer
