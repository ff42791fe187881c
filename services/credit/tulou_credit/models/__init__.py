"""The tables of the credit service. One worker process hosts all services, so all names begin with credit_."""

from tulou_credit.models.catalogue import RecordType
from tulou_credit.models.imports import Import, QuarantinedRow
from tulou_credit.models.records import Record, RecordVersion
from tulou_credit.models.subjects import FormerName, Subject

__all__ = ["FormerName", "Import", "QuarantinedRow", "Record", "RecordType", "RecordVersion", "Subject"]
