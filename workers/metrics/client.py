"""What others measure, in the formats they speak: OTLP over HTTP (JSON, protobuf), Prometheus' text."""

import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from workers.foundation.errors import Anticipated
from workers.metrics.rules import samples
from workers.metrics.rules.samples import Policy, Sample

JSON, PROTOBUF = "application/json", "application/x-protobuf"
#: What OpenTelemetry calls things that we have a name for.
_RESOURCE = {
    "service.name": "service",
    "host.name": "host",
    "service.version": "version",
    "deployment.environment": "environment",
}


class MetricsRefused(Anticipated):
    """{problem}"""


class MetricsTooLarge(MetricsRefused):
    """{problem}"""


def unpacked(body: bytes, encoding: str, policy: Policy) -> bytes:
    """Return a body as it was before gzip or deflate; raises MetricsTooLarge, also for what only gets large when unpacked."""
    if len(body) <= policy.bytes_most and encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "deflate", "", "identity"):
        raise MetricsRefused(problem=f"Content-Encoding {encoding!r} is not known; send gzip, deflate, or plain")
    try:
        unpacker = zlib.decompressobj(wbits=47)
        plain = unpacker.decompress(body, policy.bytes_most + 1) if encoding else body
    except zlib.error:
        raise MetricsRefused(problem=f"the body is no {encoding}") from None
    if encoding and len(plain) <= policy.bytes_most and (not unpacker.eof or unpacker.unused_data):
        raise MetricsRefused(problem=f"the body is not one whole {encoding}: it was cut, or has more than one part")
    if len(plain) > policy.bytes_most:
        raise MetricsTooLarge(problem=f"the body is larger than {policy.bytes_most} bytes; send fewer samples at once")
    return plain


def json(body: bytes, policy: Policy, *, now: datetime) -> list[Sample]:
    """Return the samples of our own format; raises MetricsRefused."""
    try:
        return samples.from_json(orjson.loads(body), policy, now=now)
    except ValueError as error:
        raise MetricsRefused(problem=str(error)) from None


def otlp(body: bytes, content_type: str, policy: Policy) -> list[Sample]:
    """Return the samples of an ExportMetricsServiceRequest; raises MetricsRefused.

    Gauges and sums are their values; a histogram or summary is its series `_count`, `_sum` and `_bucket{le}` or `{quantile}`,
    as Prometheus has them.
    """
    request = ExportMetricsServiceRequest()
    try:
        if content_type.startswith(JSON):
            json_format.Parse(body, request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
        raise MetricsRefused(problem=f"the body is no OTLP metrics ({str(error)[:120]})") from None
    found = []
    for sample in _otlp(request):
        found.append(sample)
        if len(found) > policy.samples_most:
            raise MetricsTooLarge(problem=f"more than {policy.samples_most} samples; export smaller batches")
    return found


def answered(response: Any, refused: Mapping[str, int], content_type: str) -> bytes:
    """Return OTLP's answer: empty, or a partial success with how many were refused and why."""
    if refused:
        response.partial_success.rejected_data_points = sum(refused.values())
        response.partial_success.error_message = "; ".join(f"{count} times: {why}" for why, count in refused.items())
    return json_format.MessageToJson(response).encode() if content_type == JSON else bytes(response.SerializeToString())


def _otlp(request: Any) -> Iterator[Sample]:
    for resource in request.resource_metrics:
        common = _labels(resource.resource.attributes, _RESOURCE)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data") or "gauge")
                for point in data.data_points:
                    labels = common | _labels(point.attributes, {})
                    yield from _points(metric.name, metric.WhichOneof("data") or "", point, labels)


def _labels(attributes: Iterable[Any], named: dict[str, str]) -> dict[str, str]:
    """Return attributes as labels; of a resource's only those that have a name with us: SDKs add many by themselves."""
    texts = ((one.key, getattr(one.value, one.value.WhichOneof("value") or "string_value")) for one in attributes)
    if named:
        return {named[key]: str(value) for key, value in texts if key in named}
    return {key.replace(".", "_"): str(value) for key, value in texts}


def _points(name: str, kind: str, point: Any, labels: dict[str, str]) -> Iterator[Sample]:
    at = point.time_unix_nano / 1e9

    def _one(suffix: str, value: float, **more: str) -> Sample:
        return Sample(name + suffix, tuple((labels | more).items()), at, float(value))

    if kind in ("gauge", "sum"):
        yield _one("", getattr(point, point.WhichOneof("value") or "as_double"))
        return
    yield from (_one("_count", point.count), _one("_sum", point.sum))
    if kind == "summary":
        yield from (_one("", each.value, quantile=f"{each.quantile:g}") for each in point.quantile_values)
    elif kind == "histogram":
        below = 0
        for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=False):
            below += count
            yield _one("_bucket", below, le="+Inf" if bound == float("inf") else f"{bound:g}")


def prometheus(body: bytes, policy: Policy, *, now: datetime) -> list[Sample]:
    """Return the samples of Prometheus' text format; raises MetricsRefused. A sample without a time is of now."""
    found = []
    try:
        for family in text_string_to_metric_families(body.decode()):
            for one in family.samples:
                at = float(one.timestamp) if one.timestamp is not None else now.timestamp()
                found.append(Sample(one.name, tuple(one.labels.items()), at, float(one.value)))
            if len(found) > policy.samples_most:
                raise MetricsTooLarge(problem=f"more than {policy.samples_most} samples; push smaller groups")
    except (ValueError, KeyError, IndexError, OverflowError) as error:
        raise MetricsRefused(problem=f"the body is no Prometheus text ({str(error)[:120]})") from None
    return found
