"""Metrics, as HTTP brings them: our JSON, OTLP, Prometheus' text."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from workers.foundation import clock
from workers.measurements import formats
from workers.measurements.formats import JSON, PROTOBUF
from workers.measurements.usecases import intake
from workers.measurements.usecases.intake import Source
from workers.measurements.usecases.parsing import parsing

router = APIRouter()


def _pusher(authorization: Annotated[str, Header()] = "") -> Source:
    return intake.source(authorization)


async def _body(request: Request, content_encoding: Annotated[str, Header()] = "") -> bytes:
    limits, body = intake.policy(), b""
    async for part in request.stream():
        body += part
        if len(body) > limits.bytes_max:
            raise formats.MetricsTooLarge(
                problem=f"the body is larger than {limits.bytes_max} bytes; send fewer samples at once"
            )
    return await run_in_threadpool(formats.unpacked, body, content_encoding, limits)


Pusher = Annotated[Source, Depends(_pusher)]
Body = Annotated[bytes, Depends(_body)]


@router.post("/v1/metrics")
def samples(sent_by: Pusher, body: Body) -> dict[str, Any]:
    """Take {"samples": [{"name", "value", "at"?, "labels"?}]}.

    Say how many were taken, and why the rest were not.
    """
    now = clock.machine_now()
    with parsing(sent_by.name):
        found = formats.json(body, intake.policy(), now=now)
    return vars(intake.take(*found, sent_by=sent_by, now=now))


@router.post("/v1/prometheus")
@router.put("/v1/prometheus")
def prometheus(sent_by: Pusher, body: Body, content_type: Annotated[str, Header()] = "") -> dict[str, Any]:
    """Take a page of Prometheus' text format, or of OpenMetrics."""
    now = clock.machine_now()
    with parsing(sent_by.name):
        found = formats.prometheus(body, content_type, intake.policy(), now=now)
    return vars(intake.take(*found, sent_by=sent_by, now=now))


@router.post("/otlp/v1/metrics")
def otlp(sent_by: Pusher, body: Body, content_type: Annotated[str, Header()] = PROTOBUF) -> Response:
    """Take OTLP over HTTP, as JSON or protobuf.

    Answer in kind, with what was refused as a partial success.
    """
    with parsing(sent_by.name):
        found = formats.otlp(body, content_type, intake.policy())
    taken = intake.take(found, sent_by=sent_by, now=clock.machine_now())
    kind = JSON if content_type.casefold().startswith(JSON) else PROTOBUF
    answer = formats.answered(ExportMetricsServiceResponse(), taken.refused, kind)
    return Response(answer, media_type=kind)


def refused(request: Request, status: int, message: str, headers: dict[str, str] | None) -> Response | None:
    """Return the answer to a sender of OTLP whose request was not taken; None for all others."""
    if not request.url.path.startswith("/otlp/"):
        return None
    # OTLP knows 400 for what can't be read, and clients heed no other.
    status = 400 if status == 422 else status
    answer, kind = formats.refusal(status, message, request.headers.get("content-type", PROTOBUF))
    return Response(answer, status, headers, kind)
