"""What happened, as it is published."""

from tulou.approval.v1 import case_pb2, events_pb2
from tulou_approval.convert.cases import state_to_proto
from tulou_approval.convert.credit import handling_to_proto
from tulou_approval.operations.acts import CaseEvent
from tulou_approval.operations.items import ItemEvent
from tulou_chassis.events import Publication


def publication_of(happened: object) -> Publication:
    """The publication of a CaseEvent or an ItemEvent. Raises TypeError for anything else."""
    match happened:
        case CaseEvent(name=name, case=row, facts=facts):
            summary = events_pb2.CaseSummary(
                case_id=row.id,
                case_number=row.number or "",
                item_code=row.item_code,
                item_version=row.item_version,
                item_name=row.item_name,
                department_code=row.department_code,
                region_code=row.region_code,
                state=state_to_proto(row.state),
                owner=row.owner,
            )
            summary.time.FromDatetime(row.updated_at)
            told = dict(facts)
            if "ground" in told:
                told["ground"] = case_pb2.PauseGround.Value(f"PAUSE_GROUND_{told['ground']}")
            if "handling" in told:
                told["handling"] = handling_to_proto(told["handling"])
            if name == "CaseHandlingChanged":
                told["reason"] = events_pb2.HandlingChangeReason.Value(f"HANDLING_CHANGE_REASON_{told['reason']}")
            payload = getattr(events_pb2, name)(case=summary, **told)
            return Publication(subject=row.id, region=row.region_code, payload=payload)
        case ItemEvent(name=name, item=item):
            payload = getattr(events_pb2, name)(item_code=item.code, item_version=item.version)
            return Publication(subject=item.code, region=item.region_code, payload=payload)
        case _:
            raise TypeError(f"no event for {type(happened).__name__}")
