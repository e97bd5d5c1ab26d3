"""What others measure, in the formats they speak: OTLP over HTTP (JSON, protobuf), Prometheus' text."""

import json as stdlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from workers.foundation.errors import ExpectedError
from workers.foundation.moments import MachineMoment
from workers.measurements.rules import samples
from workers.measurements.rules.limits import Policy
from workers.measurements.rules.samples import Sample

#: OTLP's flag of a point that has no value: the collector's mark of a series that ended.
NO_RECORDED_VALUE = 1
JSON, PROTOBUF = "application/json", "application/x-protobuf"
#: What an export of nothing is; a request that says something else, and in which no metrics were found, was
#: meant otherwise.
_NOTHING = (b"", b"{}", b'{"resourceMetrics":[]}')
_NO_METRICS = (
    "no metrics are in it: send resourceMetrics with scopeMetrics. Traces and logs are not taken here, and "
    "collectors before"
    " 0.49 wrote other names"
)
#: What OpenTelemetry calls things that we have a name for.
_RESOURCE = {
    "service.name": "service",
    "host.name": "host",
    "service.version": "version",
    "deployment.environment": "environment",
}


class MetricsRefused(ExpectedError):
    """{problem}"""

    http_status = 422


class MetricsTooLarge(MetricsRefused):
    """{problem}"""

    http_status = 413


def unpacked(body: bytes, encoding: str, policy: Policy) -> bytes:
    """Return a body as it was before gzip or deflate.

    Raises MetricsTooLarge, also for what only gets large when unpacked.
    """
    encoding = encoding.strip().casefold().removeprefix("x-")
    if len(body) <= policy.bytes_max and encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate", "", "identity"):
        raise MetricsRefused(
            problem=f"Content-Encoding {encoding!r} is not known; send gzip, deflate, or plain"
        )
    try:
        unpacker = zlib.decompressobj(wbits=47)
        plain = unpacker.decompress(body, policy.bytes_max + 1) if encoding else body
    except zlib.error:
        raise MetricsRefused(problem=f"the body is no {encoding}") from None
    if encoding and len(plain) <= policy.bytes_max and (not unpacker.eof or unpacker.unused_data):
        raise MetricsRefused(
            problem=f"the body is not one whole {encoding}: it was cut, or has more than one part"
        )
    if len(plain) > policy.bytes_max:
        raise MetricsTooLarge(
            problem=f"the body is larger than {policy.bytes_max} bytes; send fewer samples at once"
        )
    return plain


def json(body: bytes, policy: Policy, *, now: MachineMoment) -> tuple[list[Sample], Counter[str]]:
    """Return the samples of our own format, and by why those that are none.

    Raises MetricsRefused for what is no batch.
    """
    try:
        return samples.from_json(_document(body), policy, now=now)
    except (ValueError, RecursionError) as error:
        raise MetricsRefused(problem=str(error)) from None


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Python's own json writes NaN, which is no JSON, and reads it: that sample is refused then, not its
        # batch.
        return stdlib.loads(body)


def otlp(body: bytes, content_type: str, policy: Policy) -> list[Sample]:
    """Return the samples of an ExportMetricsServiceRequest; raises MetricsRefused.

    Gauges and sums are their values; a histogram or summary is its series `_count`, `_sum` and `_bucket{le}`
    or `{quantile}`, as Prometheus has them.
    """
    request = ExportMetricsServiceRequest()
    try:
        if content_type.casefold().startswith(JSON):
            json_format.Parse(body, request, ignore_unknown_fields=True, max_recursion_depth=64)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise MetricsRefused(problem=f"the body is no OTLP metrics ({str(error)[:120]})") from None
    scopes = [scope for resource in request.resource_metrics for scope in resource.scope_metrics]
    if not any(scope.metrics for scope in scopes) and b"".join(body.split()) not in _NOTHING:
        raise MetricsRefused(problem=_NO_METRICS)
    found = []
    for sample in _otlp(request):
        found.append(sample)
        if len(found) > policy.samples_max:
            raise MetricsTooLarge(problem=f"more than {policy.samples_max} samples; export smaller batches")
    return found


def answered(response: Any, refused: Mapping[str, int], content_type: str) -> bytes:
    """Return OTLP's answer: empty, or a partial success with how many were refused and why."""
    if refused:
        response.partial_success.rejected_data_points = sum(refused.values())
        response.partial_success.error_message = "; ".join(
            f"{count} times: {why}" for why, count in refused.items()
        )
    return (
        json_format.MessageToJson(response).encode()
        if content_type == JSON
        else bytes(response.SerializeToString())
    )


#: HTTP's status as google.rpc.Code, as OTLP answers a request that it did not take.
_CODES = {
    400: code_pb2.INVALID_ARGUMENT,
    401: code_pb2.UNAUTHENTICATED,
    413: code_pb2.OUT_OF_RANGE,
    429: code_pb2.RESOURCE_EXHAUSTED,
}


def refusal(status: int, message: str, content_type: str) -> tuple[bytes, str]:
    """Return OTLP's answer to what was not taken, and its content type.

    It is a google.rpc.Status in the sender's own encoding.
    """
    answer = status_pb2.Status(code=_CODES.get(status, code_pb2.UNAVAILABLE), message=message)
    if content_type.casefold().startswith(JSON):
        return json_format.MessageToJson(answer).encode(), JSON
    return bytes(answer.SerializeToString()), PROTOBUF


def _otlp(request: Any) -> Iterator[Sample]:
    for resource in request.resource_metrics:
        common = _labels(resource.resource.attributes, _RESOURCE)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                yield from _metric(metric, common)


def _metric(metric: Any, common: dict[str, str]) -> Iterator[Sample]:
    kind = metric.WhichOneof("data") or ""
    for point in getattr(metric, kind or "gauge").data_points:
        # Absent is not zero.
        if not point.flags & NO_RECORDED_VALUE:
            yield from _points(metric.name, kind, point, common | _labels(point.attributes, {}))


def _labels(attributes: Iterable[Any], named: dict[str, str]) -> dict[str, str]:
    """Return attributes as labels.

    Of a resource's only those that have a name with us: SDKs add many by themselves.
    """
    texts = (
        (one.key, getattr(one.value, one.value.WhichOneof("value") or "string_value")) for one in attributes
    )
    if named:
        return {named[key]: str(value) for key, value in texts if key in named}
    return {key.replace(".", "_"): str(value) for key, value in texts}


def _points(name: str, kind: str, point: Any, labels: dict[str, str]) -> Iterator[Sample]:
    at = point.time_unix_nano / 1e9

    def _one(suffix: str, value: float, **more: str) -> Sample:
        return Sample(name + suffix, tuple((labels | more).items()), at, float(value))

    if kind in ("gauge", "sum"):
        if value := point.WhichOneof("value"):
            yield _one("", getattr(point, value))
        return
    yield _one("_count", point.count)
    if kind == "summary" or point.HasField("sum"):
        yield _one("_sum", point.sum)
    if kind == "summary":
        yield from (_one("", each.value, quantile=f"{each.quantile:g}") for each in point.quantile_values)
    elif kind == "histogram":
        below = 0
        for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=False):
            below += count
            yield _one("_bucket", below, le="+Inf" if bound == float("inf") else f"{bound:g}")


#: No series is as long; a line of escapes takes its square to read.
LONGEST_LINE = 4 * samples.LONGEST
#: What is no text of Prometheus or OpenMetrics. curl sends a form's type with everything, so that passes.
_NO_TEXT = ("application/json", PROTOBUF, "application/vnd.google.protobuf")
OPENMETRICS = "application/openmetrics-text"


def prometheus(
    body: bytes, content_type: str, policy: Policy, *, now: MachineMoment
) -> tuple[list[Sample], Counter[str]]:
    """Return the samples of a page in Prometheus' or OpenMetrics' text, and its unreadable lines by why.

    A sample without a time is of now. Raises MetricsRefused when no line can be read.
    """
    found: list[Sample] = []
    kind = content_type.partition(";")[0].strip().casefold()
    if kind in _NO_TEXT:
        why = (
            f"{kind} is not taken here: send Prometheus' text format (text/plain) or {OPENMETRICS}; remote "
            "write is not taken"
        )
        raise MetricsRefused(problem=why)
    # Times are in milliseconds in the one, in seconds in the other.
    unit = 1000.0 if kind == OPENMETRICS else 1.0
    refused = Counter[str]()
    # Seen before any line is read, which takes a hundred times as long; comments are none.
    if body.count(b"\n") - body.count(b"\n#") > policy.samples_max + 1_000:
        raise MetricsTooLarge(problem=f"more than {policy.samples_max} samples; push smaller groups")
    for number, line in enumerate(body.decode("utf-8", "replace").splitlines(), start=1):
        try:
            if len(line) > LONGEST_LINE:
                raise ValueError
            found += _prometheus_line(line, unit, now)
        except (ValueError, KeyError, IndexError, OverflowError):
            refused[f"line {number}: {line[:60]!r} is no sample"] += 1
        if len(found) > policy.samples_max:
            raise MetricsTooLarge(problem=f"more than {policy.samples_max} samples; push smaller groups")
    if refused and not found:
        raise MetricsRefused(problem=f"the body is no Prometheus text ({next(iter(refused))})")
    return found, refused


def _prometheus_line(line: str, unit: float, now: MachineMoment) -> list[Sample]:
    # OpenMetrics ends a page with # EOF, and a sample may have an exemplar behind a #.
    if not line.strip() or line.startswith("#"):
        return []
    families = text_string_to_metric_families(line.partition(" # ")[0] + "\n")
    return [
        Sample(
            one.name,
            tuple(one.labels.items()),
            float(one.timestamp) * unit if one.timestamp is not None else now.timestamp(),
            float(one.value),
        )
        for family in families
        for one in family.samples
    ]
