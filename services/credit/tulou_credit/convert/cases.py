"""What the approval service tells of its cases."""

from datetime import date

from tulou.approval.v1 import events_pb2
from tulou_credit.operations.reactions import DecidedCase


def decided_case(event: events_pb2.CaseGranted | events_pb2.CaseRefused) -> DecidedCase:
    """A grant or refusal."""
    return DecidedCase(
        subject_id=event.credit_subject_id,
        credit_code=event.applicant_credit_code,
        applicant_name=event.applicant_name,
        item_code=event.case.item_code,
        item_name=event.case.item_name,
        document_number=event.document_number,
        decided_on=date.fromisoformat(event.decision_date),
        department_code=event.case.department_code,
        department_name=event.department_name,
        department_credit_code=event.department_credit_code,
    )
