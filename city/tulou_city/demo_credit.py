"""The demo's second chapter: a company's standing decides how its case is handled, while it runs too."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from rich.rule import Rule

from tulou_city import sample
from tulou_city.demo_day import PDF, Day, out, tell
from tulou_city.layout import City
from tulou_city.tokens import token

ORGAN: Final = "漳州市市场监督管理局"
SIMPLIFIED: Final = "CASE_HANDLING_SIMPLIFIED"
# Longer than the longest of the minimum times that a listing must be public before it is repaired.
LISTED_DAYS_AGO: Final = 400
# An event is on its way for less than a second.
PATIENCE_SECONDS: Final = 15


class CreditDay(Day):
    """A company that is new to the city, its case, and its credit."""

    applicant = "enterprise"

    def __init__(self, city: City) -> None:
        super().__init__(city)
        self.code = sample.credit_code(secrets.randbelow(100_000))
        self.tokens["enterprise"] = token(city, role="enterprise", sub=f"demo-{self.code}", identity=self.code)

    def play(self) -> None:
        """From an honour to a licence, through a listing and its repair."""
        tell(f"{sample.COMPANY} was honoured last year. The bureau tells the credit platform.")
        self.put("HONOUR", days_ago=300, title="守合同重信用企业", granted_on=day(300))

        tell("It applies for the same licence. At the window approval asks credit: the fast lane, 4 days instead of 8.")
        item = self.call("", "GET", f"/approval/v1/items/{sample.ITEM}", show=False)["item"]
        needed = [one["code"] for one in item["materials"] if one["necessity"] == "NECESSITY_REQUIRED"]
        self.hand_in(sample.company_case(self.code), needed)
        self.act("clerk", "startPreReview")
        self.act("clerk", "accept")
        if self.case["handling"] != SIMPLIFIED:
            raise SystemExit(f"The case is not on the fast lane: {self.case['creditCheck']}")

        tell(
            "Then it turns out that it stands on the serious-default list. The event takes the fast lane from the case."
        )
        reason = "经查，以欺骗手段取得许可"
        listed = {"reason": reason, "legal_basis": "《市场监督管理严重违法失信名单管理办法》第二条"}
        record_id = self.put("SERIOUS_LIST", days_ago=LISTED_DAYS_AGO, **listed, listed_on=day(LISTED_DAYS_AGO))
        self.wait_until("CASE_HANDLING_ORDINARY")
        self.call("clerk", "POST", "/credit/v1/subjects:check", {"code": self.code, "purpose": "APPROVAL"})

        tell("The breach has been made good for long, so it asks for repair; who listed it decides (谁认定谁修复).")
        self.call("enterprise", "GET", f"/credit/v1/records/{record_id}/repairConditions")
        upload = "/credit/v1/evidence:upload"
        proof = self.call("enterprise", "POST", upload, PDF, requestId=str(uuid4()), filename="整改证明.pdf")
        asked = {"recordId": record_id, "correctedOn": day(30), "promise": True, "evidenceIds": [proof["evidenceId"]]}
        repair = self.write("enterprise", "/credit/v1/repairs", **asked)["repair"]
        path = f"/credit/v1/repairs/{repair['id']}"
        repair = self.write("clerk", f"{path}:accept", etag=repair["etag"])["repair"]
        self.write("approver", f"{path}:grant", etag=repair["etag"], opinion="已纠正违法行为，准予修复")

        tell("The list is left, the event travels, and the fast lane is open again.")
        self.wait_until(SIMPLIFIED)

        tell("The licence is granted; credit hears of it, and it is public as a record of the company.")
        self.act("approver", "startReview", reviewers=["王审查", "李审查"])
        self.act("approver", "grant", opinion="符合条件，准予许可")
        self.act("clerk", "certify")
        self.wait_for_licence(repair["subjectId"])

        tell("It has a credit report made. Whoever is shown it can verify it.")
        report = self.write("enterprise", "/credit/v1/reports", purpose="参加政府采购")["report"]

        out.print(Rule(style="dim"))
        out.print(f"The report: [bold]{self.city.url}/credit/verify?code={report['verificationCode']}[/]")
        out.print(f"Two services, one trace: [bold]{self.city.url}/traces/{self.trace}[/]")

    def write(self, who: str, path: str, **fields: Any) -> Any:
        """One request that changes something."""
        return self.call(who, "POST", path, {"requestId": str(uuid4()), **fields})

    def put(self, type_code: str, *, days_ago: int, **content: Any) -> str:
        """A record of the company, true since then; gives its id."""
        told = {
            "typeCode": type_code,
            "subjectKind": "SUBJECT_KIND_ORGANISATION",
            "subjectCode": self.code,
            "subjectName": sample.COMPANY,
            "sourceKey": f"demo-{self.code}",
            "validFrom": day(days_ago),
            "organName": ORGAN,
            "content": content,
        }
        return str(self.write("clerk", "/credit/v1/records", **told)["recordId"])

    def wait_until(self, handling: str) -> None:
        """Looks at the case until it is handled so, and shows it."""
        path = f"/approval/v1/cases/{self.case['id']}"
        self._wait(lambda: self.call("clerk", "GET", path, show=False)["case"]["handling"] == handling, handling)
        self.case = self.call("clerk", "GET", path)["case"]

    def wait_for_licence(self, subject_id: str) -> None:
        """Looks at the company's public records until the licence is one of them, and shows it."""
        path = f"/credit/v1/subjects/{subject_id}/records"
        self._wait(lambda: self.call("", "GET", path, show=False, typeCode="LICENCE")["records"], "a licence")
        self.call("", "GET", path, typeCode="LICENCE")

    def _wait(self, condition: Callable[[], Any], what: str) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            if time.monotonic() > give_up:
                raise SystemExit(f"The city was waited for in vain: {what}. See {self.city.var}/log/worker.log")
            time.sleep(0.2)


def day(days_ago: int) -> str:
    """A civil date."""
    # In Asia/Shanghai, whose days begin eight hours before those of UTC.
    return (datetime.now(UTC) + timedelta(hours=8) - timedelta(days=days_ago)).date().isoformat()
