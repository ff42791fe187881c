"""Imports as long-running operations, and their quarantine."""

from collections.abc import Mapping, Sequence
from typing import Any

from google.longrunning.operations_pb2 import Operation  # type: ignore[import-untyped]
from google.rpc.code_pb2 import Code  # type: ignore[import-untyped]

from tulou.credit.v1 import import_pb2 as pb
from tulou.credit.v1 import import_service_pb2
from tulou_credit.convert.values import name_of, time_to_proto, value_of
from tulou_credit.domain.imports import ENDED, ImportState
from tulou_credit.intake.formats import Encoding
from tulou_credit.intake.report import Breach
from tulou_credit.models import Import, QuarantinedRow


def operation_to_proto(found: Import) -> Operation:
    """How far the import is; done with a response, or with an error when it failed or was cancelled."""
    operation = Operation(name=f"imports/{found.id}", done=found.state in ENDED)
    operation.metadata.Pack(
        pb.ImportMetadata(
            import_id=found.id,
            source=found.source,
            file_name=found.file_name,
            sha256=found.sha256,
            size=found.size,
            state=value_of(pb.ImportState, found.state),
            cancel_asked=found.cancel_asked,
            rows_done=found.rows_done,
            rows_created=found.rows_created,
            rows_unchanged=found.rows_unchanged,
            rows_superseded=found.rows_superseded,
            rows_quarantined=found.rows_quarantined,
            failure=[breach_to_proto(told) for told in found.failure],
            create_time=time_to_proto(found.created_at),
            update_time=time_to_proto(found.updated_at),
            end_time=time_to_proto(found.ended_at),
        )
    )
    match found.state:
        case ImportState.DONE:
            operation.response.Pack(
                pb.ImportResult(
                    rows_created=found.rows_created,
                    rows_unchanged=found.rows_unchanged,
                    rows_superseded=found.rows_superseded,
                    rows_quarantined=found.rows_quarantined,
                )
            )
        case ImportState.FAILED:
            operation.error.code = Code.Value("INVALID_ARGUMENT")
            operation.error.message = "; ".join(Breach(**told).en for told in found.failure)
        case ImportState.CANCELLED:
            operation.error.code = Code.Value("CANCELLED")
            operation.error.message = "The import was cancelled; the rows before that are taken."
    return operation


def breach_to_proto(told: Mapping[str, Any], *, row: int = 0) -> pb.Breach:
    """One thing that is wrong, as it is kept."""
    return pb.Breach(row=told.get("row", row), field=told["field"], reason=told["reason"], detail=told["detail"])


def row_to_proto(kept: QuarantinedRow) -> pb.QuarantinedRow:
    """A row that was not taken, without its cells."""
    return pb.QuarantinedRow(
        row=kept.row,
        kind=kept.kind,
        state=value_of(pb.QuarantineState, kept.state),
        breaches=[breach_to_proto(told, row=kept.row) for told in kept.breaches],
        misread=kept.misread,
        record_id=kept.record_id or "",
        settle_time=time_to_proto(kept.settled_at),
    )


def rows_to_proto(kept: Sequence[QuarantinedRow]) -> list[pb.QuarantinedRow]:
    """See `row_to_proto`."""
    return [row_to_proto(each) for each in kept]


def encoding_from_proto(encoding: import_service_pb2.TextEncoding.ValueType) -> Encoding | None:
    """None where it is to be found out."""
    return Encoding[name_of(import_service_pb2.TextEncoding, encoding)] if encoding else None


def state_from_proto(state: pb.ImportState.ValueType) -> ImportState | None:
    """None where any will do."""
    return ImportState(name_of(pb.ImportState, state)) if state else None
