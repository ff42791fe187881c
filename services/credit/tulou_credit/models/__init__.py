"""The tables of the credit service. One worker process hosts all services, so all names begin with credit_."""

from tulou_credit.models.authorisations import Authorisation, QueryLog
from tulou_credit.models.catalogue import RecordType
from tulou_credit.models.evidence import Evidence
from tulou_credit.models.imports import Import, QuarantinedRow
from tulou_credit.models.measures import PublishedMeasure
from tulou_credit.models.objections import Objection
from tulou_credit.models.records import Record, RecordVersion
from tulou_credit.models.repairs import Repair
from tulou_credit.models.reports import Report
from tulou_credit.models.subjects import FormerName, Subject

__all__ = [
    "Authorisation",
    "Evidence",
    "FormerName",
    "Import",
    "Objection",
    "PublishedMeasure",
    "QuarantinedRow",
    "QueryLog",
    "Record",
    "RecordType",
    "RecordVersion",
    "Repair",
    "Report",
    "Subject",
]
