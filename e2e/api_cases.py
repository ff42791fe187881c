"""API cases as data: reads cases/** and runs one case over one client (cases/README.md: how they are written)."""

import copy
import csv
import io
import itertools
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from e2e import numbers
from e2e.clients import Client, GrpcClient, HttpClient, Json, Refused
from e2e.eventually import eventually
from e2e.tokens import Fault, Tokens

CASES: Final = Path(__file__).with_name("cases")
REQUESTS: Final = "requests.yaml"
PDF: Final = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
_RUNS: Final = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class ApiCase:
    """One case: a valid request with something changed, and what must come of it."""

    file: str
    name: str
    expect: Mapping[str, Any]
    call: str
    # Who calls, when it is not who usually does, and what is wrong with the token.
    caller: str = ""
    fault: Fault = ""
    language: str = ""
    given: tuple[Any, ...] = ()
    change: Mapping[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    # Parts of the answer.
    answer: Mapping[str, Any] = field(default_factory=dict)
    # Transports it can be sent over, where not all, and why.
    only: tuple[str, ...] = ("http", "grpc", "direct")
    because: str = ""
    # What is put in the place of parts of the HTTP request.
    http: Mapping[str, Any] = field(default_factory=dict)
    # A gRPC path in the place of the RPC's.
    path: str = ""


@dataclass(frozen=True)
class Outcome:
    """What came of a case. `http` is None over gRPC; `headers` are those of the HTTP answer."""

    status: str
    http: int | None
    answer: Json
    refusal: Refused | None
    headers: Mapping[str, str]


@cache
def read(part: str) -> dict[str, Any]:
    """What all files requests.yaml say under `part`: "people", "requests", "given" or "rows"."""
    found: dict[str, Any] = {}
    for path in sorted(CASES.rglob(REQUESTS)):
        more = yaml.safe_load(path.read_text("utf-8")).get(part, {})
        assert not found.keys() & more.keys(), f"{path} says again: {found.keys() & more.keys()}"
        found |= more
    return found


def api_cases() -> list[ApiCase]:
    """All cases, by file."""
    return list(_cases())


def _cases() -> Iterator[ApiCase]:
    for path in sorted(CASES.rglob("*.yaml")):
        for entry in [] if path.name == REQUESTS else yaml.safe_load(path.read_text("utf-8")):
            entry = {"caller" if key == "as" else key: value for key, value in entry.items()}
            lists = {key: tuple(entry[key]) for key in ("given", "without", "only") if key in entry}
            yield ApiCase(file=str(path.relative_to(CASES).with_suffix("")), **{**entry, **lists})


class Run:
    """One run of a case over one client, with subjects, ids and items of its own."""

    def __init__(self, client: Client, tokens: Tokens, *, traceparent: Callable[[], str] = str) -> None:
        self._client = client
        self._tokens = tokens
        self._traceparent = traceparent
        self._serial = next(_RUNS)
        self._run = f"{self._serial:04}"
        self._uuids: dict[str, str] = {}
        self._held: dict[tuple[str, str], str] = {}
        # Each top-level field of the answers so far.
        self.known: Json = {}

    def prepare(self, steps: tuple[Any, ...]) -> None:
        """Brings the city into the state a case starts from. Raises Refused where it should not be."""
        for step in steps:
            if isinstance(step, str) and step in read("given"):
                self.prepare(tuple(read("given")[step]))
            else:
                self._step({"call": step} if isinstance(step, str) else step)

    def perform(self, case: ApiCase) -> Outcome:
        """Sends the case's request."""
        rpc = case.call
        token = self.token(case.caller or _usual(rpc), case.fault)
        if case.path and isinstance(self._client, GrpcClient):
            return self._outcome(lambda: self._unknown(case.path, token))
        body = self.body(rpc, case.change, case.without)
        if not isinstance(self._client, HttpClient):
            return self._outcome(lambda: self._client.call(rpc, body, token=token, language=case.language))
        return self._http(self._client, case, body, token)

    def resolve(self, value: Any) -> Any:
        """The value with every ${…} filled in."""
        if isinstance(value, Mapping):
            return {key: self.resolve(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [self.resolve(entry) for entry in value]
        if not isinstance(value, str):
            return value
        if whole := re.fullmatch(r"\$\{([^}]+)}", value):
            return self._value(whole[1])
        return re.sub(r"\$\{([^}]+)}", lambda found: str(self._value(found[1])), value)

    def do(self, rpc: str, change: Mapping[str, Any] | None = None, *, caller: str = "") -> Json:
        """Sends the RPC's valid request with these changes and gives the answer. Raises Refused."""
        body = self.body(rpc, change or {})
        answer = self._client.call(rpc, body, token=self.token(caller or _usual(rpc)), traceparent=self._traceparent())
        self.known |= answer
        return answer

    def token(self, person: str, fault: Fault = "") -> str:
        """The person's token; the same subject all through the run."""
        claims = self.resolve(read("people")[person])
        if (person, fault) not in self._held:
            subject = f"{person.replace(' ', '-')}-{self._run}"
            self._held[person, fault] = self._tokens.token(**claims, sub=subject, fault=fault) if claims else ""
        return self._held[person, fault]

    def use(self, tokens: Tokens) -> None:
        """The same subjects, with tokens of another issuer."""
        self._tokens = tokens
        self._held = {}

    def body(self, rpc: str, change: Mapping[str, Any], without: tuple[str, ...] = ()) -> Json:
        """The RPC's valid request with these changes."""
        body: Json = copy.deepcopy(read("requests")[rpc]["body"])
        for path, value in change.items():
            holder, name = _place(body, path)
            holder[name] = value
        for path in without:
            holder, name = _place(body, path)
            del holder[name]
        return self.resolve(body)  # type: ignore[no-any-return]

    def _step(self, step: Mapping[str, Any]) -> None:
        for _ in range(step.get("times", 1)):
            try:
                answer = self.do(step["call"], step.get("change"), caller=step.get("as", ""))
            except Refused as refused:
                if refused.reason != step.get("refused"):
                    raise
            else:
                assert "refused" not in step, f"{step['call']} was not refused"
                if "until" in step:
                    self._wait(step)
                self.known[step.get("save", "")] = answer

    def _wait(self, step: Mapping[str, Any]) -> None:
        """Calls until the answer has what the step waits for."""

        def look() -> bool:
            self.do(step["call"], step.get("change"), caller=step.get("as", ""))
            return all(self._value(path) == value for path, value in step["until"].items())

        eventually(look)

    def _http(self, client: HttpClient, case: ApiCase, body: Json, token: str) -> Outcome:
        request = client.request(case.call, body)
        if token:
            request.headers["authorization"] = f"Bearer {token}"
        if case.language:
            request.headers["accept-language"] = case.language
        changed = self.resolve(case.http)
        request.headers |= changed.pop("headers", {})
        for name, value in changed.items():
            setattr(request, name, value.encode() if name == "content" and isinstance(value, str) else value)
        response = client.send(request)
        return self._outcome(lambda: client.answer(response), response.headers)

    def _outcome(self, call: Callable[[], Json], headers: Mapping[str, str] | None = None) -> Outcome:
        try:
            answer = call()
        except Refused as refused:
            return Outcome(refused.status, refused.http, {}, refused, headers or {})
        return Outcome("OK", 200 if isinstance(self._client, HttpClient) else None, answer, None, headers or {})

    def _file(self, rows: Sequence[str]) -> bytes:
        """A double-publicity file of these rows of requests.yaml."""
        return csv_file([self.resolve(read("rows")[row]) for row in rows])

    def _number(self, argument: str) -> int:
        """Differs from run to run, and between the letters within one."""
        return self._serial * 10 + (ord(argument) - ord("a") if argument else 0)

    def _unknown(self, path: str, token: str) -> Json:
        assert isinstance(self._client, GrpcClient)
        self._client.unknown(path, token=token)
        return {}

    def _value(self, name: str) -> Any:
        kind, _, argument = name.partition(":")
        match kind:
            case "run":
                return self._run
            case "person":
                return numbers.person(self._number(argument))
            case "firm":
                return numbers.firm(self._number(argument))
            case "day":
                return (datetime.now(UTC) + timedelta(hours=8, days=int(argument or 0))).date().isoformat()
            case "csv":
                return self._file(argument.split(", "))
            case "uuid":
                fresh = str(uuid.uuid4())
                return self._uuids.setdefault(argument, fresh) if argument else fresh
            case "text":
                return "土" * int(argument)
            case "nested":
                nested: Json = {"end": True}
                for _ in range(int(argument) - 1):
                    nested = {"in": nested}
                return nested
            case "pdf":
                return PDF
            case "bytes":
                return PDF + bytes(int(argument) - len(PDF))
        value: Any = self.known
        for part in name.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value


def csv_file(rows: Sequence[Mapping[str, str]]) -> bytes:
    """A CSV file with a heading."""
    text, columns = io.StringIO(), {name: None for row in rows for name in row}
    writer = csv.DictWriter(text, columns, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _usual(rpc: str) -> str:
    return str(read("requests")[rpc]["as"])


def _place(body: Json, path: str) -> tuple[Any, Any]:
    """The dict or list that holds what `path` names, and its key there."""
    *above, last = path.split(".")
    holder: Any = body
    for part in above:
        holder = holder[int(part)] if isinstance(holder, list) else holder.setdefault(part, {})
    return holder, int(last) if isinstance(holder, list) else last
