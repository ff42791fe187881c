"""What happened to records, as other services are told. Ids only: no names and no numbers."""

from dataclasses import dataclass

from tulou_credit.domain.records import WithdrawalReason


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
