"""What follows from events: the applicant's notice, the entry in the public register."""

from datetime import date, datetime

from sqlmodel import Session

from tulou_approval.models import Notice, PublishedGrant


def notify_applicant(
    session: Session,
    *,
    event_id: str,
    type: str,
    owner: str,
    case_id: str,
    case_number: str,
    item_name: str,
    time: datetime,
) -> None:
    """Writes the notice. Its id is the event's, so one event makes one notice."""
    session.add(
        Notice(
            id=event_id,
            owner=owner,
            case_id=case_id,
            case_number=case_number,
            item_name=item_name,
            type=type,
            time=time,
        )
    )


def publish_grant(
    session: Session,
    *,
    case_number: str,
    item_code: str,
    item_name: str,
    applicant_name: str,
    department_code: str,
    document_number: str,
    decision_date: date,
) -> None:
    """Enters a grant in the public register (行政许可法 art. 40)."""
    session.add(
        PublishedGrant(
            case_number=case_number,
            item_code=item_code,
            item_name=item_name,
            applicant_name=applicant_name,
            department_code=department_code,
            document_number=document_number,
            decision_date=decision_date,
        )
    )
