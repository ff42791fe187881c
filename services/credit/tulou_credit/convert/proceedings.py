"""Objections and requests for repair."""

from collections.abc import Sequence

from tulou.credit.v1 import objection_pb2, repair_pb2
from tulou_chassis.etags import etag_of
from tulou_chassis.locales import EN
from tulou_civics.calendar import DueDate
from tulou_credit.convert.values import day_to_proto, name_of, time_to_proto, value_of
from tulou_credit.domain.objection import ObjectionState, allowed_objection_actions
from tulou_credit.domain.repair import RepairState, UnmetCondition, allowed_repair_actions
from tulou_credit.models import Objection, Repair
from tulou_credit.operations import objections, repairs
from tulou_credit.wiring import House


def objection_to_proto(found: Objection, evidence_ids: Sequence[str], house: House) -> objection_pb2.Objection:
    """The objection with its limits and what can happen next."""
    return objection_pb2.Objection(
        id=found.id,
        record_id=found.record_id,
        subject_id=found.subject_id,
        provider=found.source,
        state=value_of(objection_pb2.ObjectionState, found.state),
        reason=found.reason,
        evidence_ids=evidence_ids,
        opinion=found.opinion,
        create_time=time_to_proto(found.created_at),
        update_time=time_to_proto(found.updated_at),
        deadlines=[
            _deadline(each.step, each.due, each.legal_basis) for each in objections.deadlines(found, house=house)
        ],
        allowed_actions=[
            value_of(objection_pb2.ObjectionAction, action)
            for action in allowed_objection_actions(ObjectionState(found.state))
        ],
        etag=etag_of(found.version),
    )


def repair_to_proto(found: Repair, evidence_ids: Sequence[str], house: House) -> repair_pb2.Repair:
    """The request with its limits and what can happen next."""
    return repair_pb2.Repair(
        id=found.id,
        record_id=found.record_id,
        subject_id=found.subject_id,
        provider=found.source,
        state=value_of(repair_pb2.RepairState, found.state),
        corrected_on=day_to_proto(found.corrected_on),
        evidence_ids=evidence_ids,
        opinion=found.opinion,
        create_time=time_to_proto(found.created_at),
        update_time=time_to_proto(found.updated_at),
        deadlines=[_deadline(each.step, each.due, each.legal_basis) for each in repairs.deadlines(found, house=house)],
        allowed_actions=[
            value_of(repair_pb2.RepairAction, action) for action in allowed_repair_actions(RepairState(found.state))
        ],
        etag=etag_of(found.version),
    )


def unmet_to_proto(unmet: UnmetCondition, *, locale: str) -> repair_pb2.UnmetCondition:
    """A condition that is not met, in the caller's language."""
    return repair_pb2.UnmetCondition(
        condition=unmet.condition,
        text=unmet.en if locale == EN else unmet.zh,
        legal_basis=unmet.legal_basis,
        possible_from=day_to_proto(unmet.possible_from),
    )


def objection_state_from_proto(state: objection_pb2.ObjectionState.ValueType) -> ObjectionState | None:
    """None where any will do."""
    return ObjectionState(name_of(objection_pb2.ObjectionState, state)) if state else None


def repair_state_from_proto(state: repair_pb2.RepairState.ValueType) -> RepairState | None:
    """None where any will do."""
    return RepairState(name_of(repair_pb2.RepairState, state)) if state else None


def _deadline(step: str, due: DueDate, legal_basis: str) -> objection_pb2.ProceedingDeadline:
    return objection_pb2.ProceedingDeadline(
        step=step, due_on=day_to_proto(due.date), provisional=due.provisional, legal_basis=legal_basis
    )
