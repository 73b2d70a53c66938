"""Pulls the metrics from the rooms, which know nothing of them."""

import platform
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from gate import __version__
from gate.cache import CacheStatistics
from gate.observe.families import BY_NAME
from gate.observe.metrics import Readings
from gate.observe.requests import RequestStatistics
from gate.observe.verifications import VerificationStatistics
from gate.observe.writer import log_statistics
from gate.readiness import Readiness
from gate.session import SessionSeal
from gate.sign_in.counts import SignInStatistics
from gate.site.record import SiteStatistics
from gate.state.revocations import Revocations
from gate.verify.breaker import Breaker

if TYPE_CHECKING:
    from gate.shared.tier import SharedStatistics

Source = Callable[[], Readings]
"""Some of the metrics, as they are now. Called on the loop: it must not wait."""


def collected(sources: Iterable[Source]) -> Readings:
    """What all sources say. Each family has one source."""
    whole: Readings = {}
    for source in sources:
        whole.update(source())
    assert whole.keys() <= BY_NAME.keys(), "every metric stands in the table"
    return whole


def of_requests(statistics: RequestStatistics) -> Readings:
    return {
        "gate_requests_total": dict(statistics.responses.items()),
        "gate_request_duration_seconds": {(): statistics.durations},
    }


def of_verifications(statistics: VerificationStatistics) -> Readings:
    names = {"yes", "no", "unavailable", "not_asked", *statistics.results}
    return {
        "gate_verifications_total": {(name,): statistics.results[name] for name in names},
        "gate_verification_failures_total": {
            (cause,): count for cause, count in statistics.causes.items()
        },
        "gate_verification_duration_seconds": {(): statistics.durations},
        "gate_verifications_in_progress": {(): statistics.under_way},
    }


def of_breaker(breaker: Breaker) -> Readings:
    state = "open" if breaker.is_open else "paused" if breaker.is_resting else "closed"
    names = ("closed", "paused", "open")
    return {"gate_breaker_state": {(name,): float(name == state) for name in names}}


def of_cache(statistics: CacheStatistics) -> Readings:
    return {
        "gate_cache_lookups_total": {("hit",): statistics.hits, ("miss",): statistics.misses},
        "gate_cache_evictions_total": {(): statistics.evictions},
        "gate_cache_refreshes_total": {(): statistics.refreshes},
        "gate_cache_entries": {("good",): statistics.size, ("refused",): statistics.refusals},
        "gate_flights": {(): statistics.flights},
    }


def of_shared(statistics: "SharedStatistics") -> Readings:
    return {
        "gate_shared_up": {(): float(statistics.up)},
        "gate_shared_lookups_total": {
            ("hit",): statistics.hits,
            ("miss",): statistics.misses,
            ("error",): statistics.errors,
        },
    }


def of_sessions(seal: SessionSeal, ended: Revocations) -> Readings:
    return {
        "gate_sessions_sealed_total": {(): seal.sealed},
        "gate_sessions_refused_total": {(): seal.refused},
        "gate_revocations": {(): len(ended)},
        "gate_revocations_unwritten": {(): ended.unwritten},
    }


def of_sign_ins(statistics: SignInStatistics) -> Readings:
    return {
        "gate_sign_in_flows": {(): statistics.waiting},
        "gate_sign_in_starts_total": {
            (result,): count for result, count in statistics.starts.items()
        },
        "gate_sign_in_ends_total": {(result,): count for result, count in statistics.ends.items()},
    }


def of_site(statistics: SiteStatistics) -> Readings:
    return {
        "gate_site_files": {(): statistics.files},
        "gate_site_pages": {(): statistics.pages},
        "gate_site_loaded_timestamp_seconds": {(): statistics.since},
        "gate_site_builds_total": {
            ("loaded",): statistics.loaded,
            ("refused",): statistics.refused,
        },
    }


def of_logs(lost: int) -> Readings:
    """`lost` are lines for standard output."""
    said = log_statistics()
    return {
        "gate_log_lines_lost_total": {("stdout",): lost, ("stderr",): said.lost},
        "gate_log_lines_summarised_total": {(): said.summarised},
    }


def of_gate(readiness: Readiness) -> Readings:
    return {
        "gate_ready": {(): float(readiness.problem is None)},
        "gate_workers": {(): 1},
        "gate_build_info": {(__version__, platform.python_version()): 1},
    }
