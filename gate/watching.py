"""Puts together what tells of the gate: which rooms are looked at, and which routes show it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp.typedefs import Handler
from pydantic import SecretStr

from gate.cache import VerdictCache
from gate.clocks import Clocks
from gate.config.settings import Settings, shown
from gate.credential import Credential, Scheme
from gate.monitoring import MetricsHandler, Monitor, StatusHandler
from gate.observe import collector
from gate.observe.access_log import AccessLog, Output
from gate.observe.problems import Problems
from gate.observe.requests import RequestCounts
from gate.observe.snapshots import Snapshots
from gate.observe.status_page import StatusPage
from gate.observe.verifications import Verifications
from gate.readiness import Readiness
from gate.session import SessionSeal
from gate.sign_in.counts import SignInStatistics
from gate.site.record import SiteRecord
from gate.state.revocations import Revocations
from gate.verify.breaker import Breaker

if TYPE_CHECKING:
    from gate.observe.spans import Spans
    from gate.shared.tier import SharedTier

SNAPSHOTS = "workers"
"""The folder in `state_dir` where each worker puts what it counts."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The rooms that are looked at."""

    verifications: Verifications
    breaker: Breaker
    cache: VerdictCache
    shared: "SharedTier | None"
    sign_ins: Callable[[], SignInStatistics] | None
    seal: SessionSeal
    revocations: Revocations
    record: SiteRecord
    readiness: Readiness


class Watch:
    """Everything that tells of the gate: the access log, the metrics, the status page."""

    def __init__(
        self,
        settings: Settings,
        rooms: Watched,
        *,
        output: Output,
        secret: bytes,
        spans: "Spans | None",
        clocks: Clocks,
    ) -> None:
        problems = Problems(clocks.wall)
        self.access_log = AccessLog(
            settings.log,
            output,
            secret=secret,
            counts=RequestCounts(),
            problems=problems,
            spans=spans,
            clock=clocks.wall,
        )
        alone = settings.server.workers == 1
        self.monitor = Monitor(
            _sources(rooms, self.access_log, output),
            problems,
            wall=clocks.wall,
            snapshots=None if alone else Snapshots(settings.server.state_dir / SNAPSHOTS),
        )
        self.metrics = MetricsHandler(self.monitor, _credential(settings.metrics.secret))
        self._settings = settings
        self._rooms = rooms

    def routes(self) -> dict[str, tuple[tuple[str, ...], Handler]]:
        """Path, methods and handler of what wants a secret; without one there is no such route."""
        own: dict[str, tuple[tuple[str, ...], Handler]] = {}
        metrics, status = self._settings.metrics, self._settings.status
        if metrics.secret.get_secret_value() and not metrics.port:
            own["/-/metrics"] = (("GET", "HEAD"), self.metrics.handle)
        if (credential := _credential(status.secret, "basic")) is not None:
            page, rooms = StatusPage(shown(self._settings)), self._rooms
            handler = StatusHandler(self.monitor, page, credential, rooms.readiness, rooms.record)
            own["/-/status"] = (("GET", "HEAD"), handler.handle)
            own["/-/status.css"] = (("GET", "HEAD"), handler.stylesheet)
        return own


def _sources(rooms: Watched, answers: AccessLog, output: Output) -> list[collector.Source]:
    """Where each of the metrics comes from."""
    sources: list[collector.Source] = [
        lambda: collector.of_requests(answers.statistics()),
        lambda: collector.of_verifications(rooms.verifications.statistics()),
        lambda: collector.of_breaker(rooms.breaker),
        lambda: collector.of_cache(rooms.cache.statistics()),
        lambda: collector.of_sessions(rooms.seal, rooms.revocations),
        lambda: collector.of_site(rooms.record.statistics()),
        lambda: collector.of_logs(output.lost),
        lambda: collector.of_gate(rooms.readiness),
    ]
    if (shared := rooms.shared) is not None:
        sources.append(lambda: collector.of_shared(shared.statistics()))
    if (sign_ins := rooms.sign_ins) is not None:
        sources.append(lambda: collector.of_sign_ins(sign_ins()))
    return sources


def _credential(secret: SecretStr, *schemes: Scheme) -> Credential | None:
    text = secret.get_secret_value()
    return Credential(text, *(schemes or ("bearer", "basic"))) if text else None
