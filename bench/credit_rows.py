"""300,000 made-up subjects and 1,000,000 records of them, as rows of the tables.

The service's own `records.put` says what the rows hold: it runs without a database, what it asks is answered from
memory, what it inserts is kept. Every block of subjects has a seed of its own, so that the rows are the same every
time, but for the nonces of what is encrypted. Every record has one version, and events are left out.
"""

import json
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Final

from sqlalchemy import Insert
from stdnum.cn import ric, uscc

from tulou_chassis.hot import Hot
from tulou_chassis.keyring import Keyring
from tulou_chassis.tables import HistoryRecord
from tulou_civics.calendar import WorkCalendar
from tulou_civics.divisions import Level, divisions
from tulou_credit.domain.entries import Entry
from tulou_credit.domain.subjects import SubjectKind
from tulou_credit.intake.rows import Licence, Penalty
from tulou_credit.models import FormerName, Record, RecordVersion, Subject
from tulou_credit.operations import records
from tulou_credit.queries import TYPES_AT_HAND
from tulou_credit.seed.load import load_catalogue
from tulou_credit.wiring import House

SEED: Final = 3506
SUBJECTS: Final = 300_000
RECORDS: Final = 1_000_000
# Subjects of a block.
BLOCK: Final = 6_000
FIRST_DAY, DAYS = date(2019, 7, 1), 2_460
# Parents before children.
TABLES: Final = (Subject, FormerName, Record, RecordVersion, HistoryRecord)
COUNTIES: Final = tuple(each for each in divisions().values() if each.level is Level.COUNTY)
WORDS: Final = "宏达鑫源永盛福瑞恒信嘉华天利金泰明德万兴广顺和丰东海龙腾安康吉祥荣昌新美正大国春"
TRADES: Final = (
    *("茶叶", "食品", "水产", "果蔬", "花卉", "家具", "钟表", "石材", "建材", "建筑工程", "装饰工程", "物流", "运输"),
    *("商贸", "贸易", "电子科技", "信息技术", "机械", "模具", "塑料", "包装", "印刷", "服饰", "医药", "餐饮", "罐头"),
    *("物业服务", "人力资源", "环保科技", "农业开发", "旅游", "文化传播", "制冷设备", "汽车服务", "教育咨询", "酒店"),
)
FORMS: Final = ("有限公司", "有限责任公司", "股份有限公司", "专业合作社")
SHOPS: Final = ("商行", "经营部", "小吃店", "便利店", "工作室", "茶行")
SURNAMES: Final = "林陈黄张吴李郑王刘蔡杨许曾郭洪邱庄江叶赖"
ORGAN, ORGAN_CODE = "漳州市市场监督管理局", "113506000038800159"
# Of a hundred records.
SHARES: Final = {
    "LICENCE": 62,
    "PENALTY": 22,
    "HONOUR": 5,
    "ABNORMAL_LIST": 3,
    "COMPLIANCE": 2,
    "PROMISE": 2,
    "JUDGMENT": 2,
    "CONTRACT": 1,
    "SERIOUS_LIST": 1,
}
SENDERS: Final = {"COMPLIANCE": "SWJ", "JUDGMENT": "FGW"}
# Categories of penalties, with the fine in fen.
PENALTIES: Final = (
    (("警告",), None),
    (("罚款", "警告"), 200_000),
    (("罚款",), 5_000_000),
    (("没收违法所得", "罚款"), 1_000_000),
    (("责令停产停业",), None),
)
LAWS: Final = (
    "《中华人民共和国食品安全法》第一百二十二条",
    "《中华人民共和国消防法》第六十条",
    "《中华人民共和国广告法》第五十五条",
)
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def kind_of(number: int) -> SubjectKind:
    """Of ten subjects six are organisations, two sole traders and two persons."""
    if number % 10 >= 8:
        return SubjectKind.PERSON
    return SubjectKind.ORGANISATION if number % 10 < 6 else SubjectKind.SOLE_TRADER


def code_of(number: int) -> str:
    """The credit code or identity number of subject `number` (below 10,000,000): made up, with a right check digit."""
    county = COUNTIES[number % len(COUNTIES)].code
    if kind_of(number) is SubjectKind.PERSON:
        born = date(1950, 1, 1) + timedelta(days=number // 900)
        stem = f"{county}{born:%Y%m%d}{number % 900 + 100}"
        return stem + ric.calc_check_digit(f"{stem}0")
    stem = f"{'91' if kind_of(number) is SubjectKind.ORGANISATION else '92'}{county}MA{number:07d}"
    return stem + uscc.calc_check_digit(stem)


def name_of(number: int, random: Random) -> str:
    """A name of parts."""
    if kind_of(number) is SubjectKind.PERSON:
        return random.choice(SURNAMES) + "".join(random.choices(WORDS, k=random.choice((1, 2))))
    endings = FORMS if kind_of(number) is SubjectKind.ORGANISATION else SHOPS
    county = COUNTIES[number % len(COUNTIES)].name
    return f"漳州市{county}{''.join(random.choices(WORDS, k=2))}{random.choice(TRADES)}{random.choice(endings)}"


def told_of(number: int, name: str, serial: str, day: date, random: Random) -> Licence | Penalty | Entry:
    """A decision of a day about subject `number`."""
    kind = kind_of(number)
    [code] = random.choices(list(SHARES), list(SHARES.values()))
    if kind is SubjectKind.PERSON and code not in ("PENALTY", "HONOUR", "JUDGMENT", "SERIOUS_LIST"):
        code = "LICENCE"
    subject: dict[str, Any] = {
        "subject_kind": kind,
        "subject_name": name,
        "subject_code": code_of(number),
        "id_type": "身份证" if kind is SubjectKind.PERSON else "",
    }
    if code not in ("LICENCE", "PENALTY"):
        until = None if random.random() < 0.5 else day + timedelta(days=365 * random.randint(1, 5))
        return Entry(
            **subject,
            type_code=code,
            source_key=serial,
            valid_from=day,
            valid_to=until,
            content=_content(code, serial, day, random),
        )
    common: dict[str, Any] = subject | {
        "row": 0,
        "edition": "790",
        "other_numbers": (),
        "representative": "" if kind is SubjectKind.PERSON else SURNAMES[number % 20] + WORDS[number % 40],
        "representative_id_type": "",
        "representative_id": "",
        "decided_on": day,
        "organ": ORGAN,
        "organ_code": ORGAN_CODE,
        "source": ORGAN,
        "source_code": ORGAN_CODE,
        "note": "",
    }
    trade = random.choice(TRADES)
    if code == "LICENCE":
        return Licence(
            **common,
            document_number=f"漳市监许〔{day.year}〕{serial}号",
            document_name="准予行政许可决定书",
            content=f"准予从事{trade}经营活动,许可范围以许可证载明的经营项目为准。",
            licence_category="普通",
            certificate_name=f"{trade}经营许可证",
            certificate_number=f"JY{serial}",
            valid_from=day,
            valid_to=day + timedelta(days=1_826),
            is_valid=True,
        )
    categories, fine = random.choice(PENALTIES)
    return Penalty(
        **common,
        document_number=f"漳市监罚〔{day.year}〕{serial}号",
        offence=f"违反{trade}经营管理规定",
        facts=f"经查,当事人在从事{trade}经营活动中未按规定建立并执行进货查验记录制度,责令改正后逾期未改正。",
        legal_basis=random.choice(LAWS),
        categories=categories,
        content="、".join(categories),
        fine_fen=fine,
        confiscated_fen=None,
        revoked_licence="",
        valid_to=None,
        public_until=None,
    )


def _content(code: str, serial: str, day: date, random: Random) -> dict[str, Any]:
    over = random.random() < 0.6
    ended = (day + timedelta(days=random.randint(30, 400))).isoformat()
    listed = {"document_number": f"漳市监列〔{day.year}〕{serial}号", "listed_on": day.isoformat()}
    listed |= {"removed_on": ended} if over else {}
    match code:
        case "HONOUR":
            return {"title": "守合同重信用企业", "granted_on": day.isoformat()}
        case "ABNORMAL_LIST":
            return {"reason": "未按照规定期限公示年度报告", **listed}
        case "SERIOUS_LIST":
            return {"reason": "被列入经营异常名录届满三年仍未履行相关义务", "legal_basis": LAWS[0], **listed}
        case "COMPLIANCE":
            settled = {"settled_on": ended} if over else {}
            return {"duty": "增值税", "amount_fen": random.randint(1, 10**8), "due_on": day.isoformat(), **settled}
        case "PROMISE":
            return {"promise": "告知承诺", "kept": over, "promised_on": day.isoformat()}
        case "JUDGMENT":
            done = {"performance": "已履行" if over else "未履行", "decided_on": day.isoformat()}
            return {"court": "漳州市中级人民法院", "case_number": f"({day.year})闽06执{serial}号", **done}
        case _:
            return {"contract": "政府采购合同", "performance": "已履行", "signed_on": day.isoformat()}


class _Memory:
    """Stands for the session of one block: answers what `records.put` asks and keeps what it inserts."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self.info: dict[str, Any] = {TYPES_AT_HAND: types}
        self.rows: dict[str, list[Any]] = defaultdict(list)
        self._found: dict[str, Any] = {}

    def get_one(self, _table: object, key: str) -> Any:
        return self._found[key]

    def add(self, row: object) -> None:
        if isinstance(row, FormerName):
            self.rows[str(row.__tablename__)].append(row)

    def flush(self) -> None:
        """Nothing waits."""

    def run(self, hot: Hot, values: Mapping[str, Any]) -> list[Any]:
        statement: Any = hot._statement
        if not isinstance(statement, Insert):
            asked = values.get("code") or values.get("number_index")
            return [self._found[asked]] if asked in self._found else []
        row = SimpleNamespace(**values)
        self.rows[statement.table.name].append(row)
        for name in ("id", "code", "number_index"):
            if values.get(name):
                self._found[values[name]] = row
        return []


def _run(hot: Hot, session: Any, values: Mapping[str, Any]) -> Any:
    return session.run(hot, values)


def columns(table: Any) -> list[str]:
    """Names of the columns that the rows of `block` have."""
    return [column.name for column in table.__table__.columns if table is not FormerName or column.name != "id"]


def block(first: int, keyring: Path) -> dict[str, bytes]:
    """The rows of a block's subjects by table, as COPY takes them. For a process of its own: it patches the service."""
    Hot.run = Hot.later = _run  # type: ignore[method-assign,assignment]
    random = Random(f"{SEED}:{first}")
    records.uuid.uuid4 = lambda: uuid.UUID(int=random.getrandbits(128), version=4)  # type: ignore[attr-defined]
    house = House(keyring=Keyring.load(keyring), calendar=WorkCalendar.load())
    memory: Any = _Memory({each.code: SimpleNamespace(version=1, **vars(each)) for each in load_catalogue()})
    each_has = {number: [random.randrange(DAYS)] for number in range(first, first + BLOCK)}
    for _ in range(RECORDS * BLOCK // SUBJECTS - BLOCK):
        # A few have many.
        each_has[first + int(BLOCK * random.random() ** 1.5)].append(random.randrange(DAYS))
    for number, days in each_has.items():
        name = name_of(number, random)
        # Of some the name changes.
        names = [name_of(number, random), name] if random.random() < 0.05 else [name, name]
        for place, day in enumerate(sorted(days)):
            decided = FIRST_DAY + timedelta(days=day)
            told = told_of(number, names[place >= len(days) / 2], f"{number}{place:03}", decided, random)
            now = datetime.combine(decided + timedelta(days=random.randint(1, 14)), time(4), UTC)
            code = told.type_code if isinstance(told, Entry) else told.kind.value
            source = SENDERS.get(code, "SCJG")
            records.put(memory, told, source=source, origin=f"bench:{number}", now=now, house=house)
    return {str(table.__tablename__): _lines(memory.rows[table.__tablename__], columns(table)) for table in TABLES}


def _lines(rows: Iterable[Any], columns: Sequence[str]) -> bytes:
    return "".join("\t".join(_text(getattr(row, name)) for name in columns) + "\n" for row in rows).encode()


def _text(value: Any) -> str:
    if value is None:
        return r"\N"
    if isinstance(value, dict):
        value = json.dumps(value, ensure_ascii=False)
    return str(value).translate(_ESCAPES)
