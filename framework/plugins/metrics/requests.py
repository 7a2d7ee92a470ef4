"""What is counted of every request: plain numbers on the way, turned into metrics when somebody asks for them.

The metric objects of prometheus_client take a lock and a function call for each number; one request would pay for six
of them. Everything here happens on the loop, so that ``+=`` is enough.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from time import perf_counter
from typing import Final, cast

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)

from framework.http.request import Request, StateKey
from framework.http.response import STREAM, Response, StreamingResponse
from framework.http.upgrade import SWITCHING
from framework.middleware.hooks import Hooks
from framework.middleware.observed import ObservedBody, answered
from framework.net.stream import EVENT_STREAM

__all__ = ["RequestMetrics"]

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"}
)
OTHER: Final = "other"
UNMATCHED: Final = "unmatched"
_LABELS: Final = ("method", "route", "status")


class _Answers:
    """The answers of one route to one method with one status."""

    __slots__ = ("buckets", "received", "seconds", "sent")

    def __init__(self, buckets: int) -> None:
        self.buckets = [0] * buckets
        self.seconds = 0.0
        self.received = 0
        self.sent = 0


class _Requests:
    """The requests of one method to one route. ``streams``: answers that are counted, and still go on."""

    __slots__ = ("answers", "begun", "method", "route", "streams")

    def __init__(self, method: str, route: str) -> None:
        self.method = method
        self.route = route
        self.begun = 0
        self.streams = 0
        self.answers: dict[int, _Answers] = {}


_CLOCK: Final[StateKey[tuple[_Requests, float]]] = StateKey("metrics.clock")


class RequestMetrics(Hooks):
    """Counts requests, and collects the counts for a registry. For phase EDGE, ahead of what may answer by itself.

    The labels are bounded whatever clients send: the route's pattern, never the path; ``unmatched`` where there is no
    route; methods that no RFC and no route knows are ``other``; statuses are those that can be sent.

    A duration goes from the first hook to the head of the response; it does not depend on how fast a client reads.

    Args:
        bounds: upper bounds of the buckets in seconds, rising.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._lowest = self._bounds[0]
        self._names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        self._methods = METHODS
        self._routes: dict[str, dict[str, _Requests]] = {}  # by pattern and method
        # Most requests end before the next one begins; only the others pay for a value in their state.
        self._newest: Request | None = None
        self._newest_of: _Requests | None = None
        self._newest_at = 0.0

    def allow(self, methods: Iterable[str]) -> None:
        """Methods that are labels of their own, because a route has them."""
        self._methods = self._methods.union(methods)

    # -- counting ---------------------------------------------------------------------------------------------------

    def before(self, request: Request) -> None:
        """Starts the clock."""
        endpoint = request.endpoint
        methods = self._routes.get(endpoint.pattern)
        requests = None if methods is None else methods.get(request.method)
        if requests is None:
            requests = self._find(request)
        requests.begun += 1
        if self._newest is not None and self._newest_of is not None:
            self._newest[_CLOCK] = (self._newest_of, self._newest_at)
        self._newest = request
        self._newest_of = requests
        self._newest_at = perf_counter()

    def after(self, request: Request, response: Response) -> None:
        """Counts the answer."""
        requests = self._newest_of
        if self._newest is request and requests is not None:
            seconds = perf_counter() - self._newest_at
            self._newest = None
        else:
            requests, seconds = self._clocked(request)
        if type(response) is not Response and response.kind == STREAM:
            self._count_stream(
                request, requests, cast("StreamingResponse", response), perf_counter() - seconds
            )
        else:
            answers = self.count(request, requests, response.status, seconds)
            answers.sent += len(response.body)

    def count(self, request: Request, requests: _Requests, status: int, seconds: float) -> _Answers:
        """Counts an answer whose head is ready; the bytes of its body are added to what this returns."""
        answers = requests.answers.get(status)
        if answers is None:
            answers = self._answers(requests, status)
        buckets = answers.buckets
        buckets[0 if seconds <= self._lowest else bisect_left(self._bounds, seconds)] += 1
        answers.seconds += seconds
        received = request.received
        if received is None:
            answers.received += max(request.content_length, 0)
        elif received:
            answers.received += len(received)
        return answers

    def _count_stream(
        self, request: Request, requests: _Requests, response: StreamingResponse, started: float
    ) -> None:
        def count(status: int) -> _Answers:
            return self.count(request, requests, status, perf_counter() - started)

        body = response.content = _CountedBody(response, requests, count)
        if response.media_type == EVENT_STREAM:
            body.count_head()

    def _find(self, request: Request) -> _Requests:
        """The slow way to the counts. A made-up method takes it every time: only names that are known are kept."""
        method = request.method if request.method in self._methods else OTHER
        pattern = request.endpoint.pattern
        methods = self._routes.setdefault(pattern, {})
        requests = methods.get(method)
        if requests is None:
            requests = methods[method] = _Requests(method, pattern or UNMATCHED)
        return requests

    def _clocked(self, request: Request) -> tuple[_Requests, float]:
        """The counts of a request that others have overtaken, and its time so far."""
        clock = request.get(_CLOCK)
        if clock is not None:
            return clock[0], perf_counter() - clock[1]
        requests = self._find(request)  # a hook further out has answered
        requests.begun += 1
        return requests, 0.0

    def _answers(self, requests: _Requests, status: int) -> _Answers:
        if not 200 <= status <= 599 and status != SWITCHING:  # the server answers 500 instead
            status = 500
        return requests.answers.setdefault(status, _Answers(len(self._names)))

    # -- collecting -------------------------------------------------------------------------------------------------

    def describe(self) -> Iterable[Metric]:
        """The families without samples, for the registry to find clashes of names."""
        return _families().values()

    def collect(self) -> Iterable[Metric]:
        """The counts as of now. Any thread may ask."""
        families = _families()
        total = cast("CounterMetricFamily", families["total"])
        duration = cast("HistogramMetricFamily", families["duration"])
        active = cast("GaugeMetricFamily", families["active"])
        received = cast("SummaryMetricFamily", families["received"])
        sent = cast("SummaryMetricFamily", families["sent"])
        for requests in [each for methods in list(self._routes.values()) for each in list(methods.values())]:
            under_way = requests.begun + requests.streams
            for status, answers in list(requests.answers.items()):
                labels = (requests.method, requests.route, str(status))
                buckets = list(self._summed(answers.buckets.copy()))
                count = buckets[-1][1]
                under_way -= count
                total.add_metric(labels, count)
                duration.add_metric(labels, buckets, answers.seconds)
                received.add_metric(labels, count, answers.received)
                sent.add_metric(labels, count, 0 if requests.method == "HEAD" else answers.sent)
            active.add_metric((requests.method, requests.route), max(0, under_way))
        return families.values()

    def _summed(self, buckets: Sequence[int]) -> Iterator[tuple[str, int]]:
        total = 0
        for name, count in zip(self._names, buckets, strict=True):
            total += count
            yield name, total


class _CountedBody(ObservedBody):
    """A streamed body whose bytes and end are counted, and its head when it goes out: with the first piece.

    ``count`` counts an answer with the status it is given.
    """

    __slots__ = ("_answers", "_count", "_requests", "_status")

    def __init__(
        self, response: StreamingResponse, requests: _Requests, count: Callable[[int], _Answers]
    ) -> None:
        super().__init__(response.content)
        self._requests = requests
        self._status = response.status
        self._count = count
        self._answers: _Answers | None = None

    def count_head(self) -> _Answers:
        if self._answers is None:
            self._answers = self._count(self._status)
            self._requests.streams += 1
        return self._answers

    def began(self) -> None:
        self.count_head()

    def ended(self, error: BaseException | None) -> None:
        """The request is over. An error ahead of the head is the answer."""
        if self._answers is None:
            self._status = answered(self._status, error)
        self.count_head().sent += self.sent
        self._requests.streams -= 1


def _families() -> Mapping[str, Metric]:
    return {
        "total": CounterMetricFamily("http_requests", "Requests answered.", labels=_LABELS),
        "duration": HistogramMetricFamily(
            "http_request_duration_seconds", "Time until the head of the response was ready.", labels=_LABELS
        ),
        "active": GaugeMetricFamily(
            "http_requests_in_progress",
            "Requests without an answer, and streams that go on.",
            labels=_LABELS[:2],
        ),
        "received": SummaryMetricFamily("http_request_size_bytes", "Bodies of requests.", labels=_LABELS),
        "sent": SummaryMetricFamily("http_response_size_bytes", "Bodies of responses.", labels=_LABELS),
    }
