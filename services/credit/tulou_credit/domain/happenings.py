"""What happened to records, as other services are told. Ids only: no names and no numbers."""

from dataclasses import dataclass

from tulou_credit.domain.objection import ObjectionState
from tulou_credit.domain.records import WithdrawalReason
from tulou_credit.domain.repair import RepairState


@dataclass(frozen=True, kw_only=True)
class RecordHappening:
    """`type_code` is the record type's; `region_code` the subject's, "" where it is not known."""

    record_id: str
    subject_id: str
    type_code: str
    region_code: str


@dataclass(frozen=True, kw_only=True)
class RecordPublished(RecordHappening):
    """A record became public."""


@dataclass(frozen=True, kw_only=True)
class RecordSuperseded(RecordHappening):
    """A public record has other content than before, or is public for another time."""


@dataclass(frozen=True, kw_only=True)
class RecordWithdrawn(RecordHappening):
    """A record is no longer public, for the decision does not stand."""

    reason: WithdrawalReason


@dataclass(frozen=True, kw_only=True)
class RecordArchived(RecordHappening):
    """A record's publicity has ended by time."""


@dataclass(frozen=True, kw_only=True)
class RecordRepaired(RecordHappening):
    """A record is no longer public, for it is repaired (信用修复): it is not to be used either."""


@dataclass(frozen=True, kw_only=True)
class RecordRestored(RecordHappening):
    """A repair was taken back, for its material was false: the record counts again."""


@dataclass(frozen=True, kw_only=True)
class StandingChanged(RecordHappening):
    """A record of the serious-default list (严重失信主体名单) came, changed or went.

    `standing` is the subject's after it: "SERIOUS", "BAD", "GOOD", or "NONE" where nothing counts.
    """

    standing: str


@dataclass(frozen=True, kw_only=True)
class AuthorisationGranted:
    """A subject authorised queries about what is not public of it."""

    authorisation_id: str
    subject_id: str


@dataclass(frozen=True, kw_only=True)
class AuthorisationRevoked:
    """A subject revoked an authorisation: from that day on it covers nothing."""

    authorisation_id: str
    subject_id: str


@dataclass(frozen=True, kw_only=True)
class ObjectionHappening:
    """`state` is the objection's after it; `region_code` the subject's, "" where it is not known."""

    objection_id: str
    record_id: str
    subject_id: str
    region_code: str
    state: ObjectionState


@dataclass(frozen=True, kw_only=True)
class ObjectionFiled(ObjectionHappening):
    """A subject objects to a record, which bears the mark from now on."""


@dataclass(frozen=True, kw_only=True)
class ObjectionForwarded(ObjectionHappening):
    """An objection waits for the department that sent the record."""


@dataclass(frozen=True, kw_only=True)
class ObjectionDecided(ObjectionHappening):
    """An objection was upheld or dismissed."""


@dataclass(frozen=True, kw_only=True)
class ObjectionClosed(ObjectionHappening):
    """An objection is over: closed, or withdrawn by who filed it."""


@dataclass(frozen=True, kw_only=True)
class RepairHappening:
    """`state` is the request's after it; `region_code` the subject's, "" where it is not known."""

    repair_id: str
    record_id: str
    subject_id: str
    region_code: str
    state: RepairState


@dataclass(frozen=True, kw_only=True)
class RepairSubmitted(RepairHappening):
    """A subject asks for the repair of a record."""


@dataclass(frozen=True, kw_only=True)
class RepairAccepted(RepairHappening):
    """A request for repair was taken up."""


@dataclass(frozen=True, kw_only=True)
class RepairDecided(RepairHappening):
    """A request was not taken up, granted, refused, withdrawn by who submitted it, or its grant was revoked."""
