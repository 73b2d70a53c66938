"""The metrics that there are: names, kinds, labels, and how those of several workers become one.

Names follow the habits of Prometheus: a unit at the end, `_total` for what only grows. docs/
monitoring.md, the dashboard and the alerts in deploy/ know these and no others.
"""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]
Join = Literal["sum", "max", "min"]


class Family(NamedTuple):
    """One metric."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    join: Join = "sum"
    """What the gate says of its workers together."""


FAMILIES: Final = (
    # requests
    Family("gate_requests_total", "counter", "Responses.", ("outcome", "status_class")),
    Family("gate_request_duration_seconds", "histogram", "Time from a request to its answer."),
    # the verify API
    Family(
        "gate_verifications_total", "counter",
        "Tokens that were to be verified, by result: yes, no, unavailable, not_asked.",
        ("result",),
    ),
    Family(
        "gate_verification_failures_total", "counter",
        "Verifications without an answer, by cause.", ("cause",),
    ),
    Family("gate_verification_duration_seconds", "histogram", "Time that verifying took."),
    Family("gate_verifications_in_progress", "gauge", "Verifications under way, waiting included."),
    Family(
        "gate_breaker_state", "gauge",
        "1 for what the gate does with the verify API: closed (asks), paused (was asked to wait), "
        "open (it failed too often).",
        ("state",),
    ),
    # the verdict cache
    Family("gate_cache_lookups_total", "counter", "Lookups of verdicts, by result.", ("result",)),
    Family("gate_cache_evictions_total", "counter", "Verdicts forgotten for want of room."),
    Family("gate_cache_refreshes_total", "counter", "Verdicts asked for ahead of their end."),
    Family("gate_cache_entries", "gauge", "Verdicts remembered, by kind.", ("kind",)),
    Family("gate_flights", "gauge", "Questions that requests share at this moment."),
    # the shared server
    Family("gate_shared_up", "gauge", "1 while the shared server is in use.", join="min"),
    Family(
        "gate_shared_lookups_total", "counter",
        "Lookups on the shared server, by result: hit, miss, error.", ("result",),
    ),
    # sessions and revocations
    Family("gate_sessions_sealed_total", "counter", "Cookies written, renewals included."),
    Family("gate_sessions_refused_total", "counter", "Cookies that came and are no session."),
    Family("gate_revocations", "gauge", "What has been ended and is remembered.", join="max"),
    Family("gate_revocations_unwritten", "gauge", "Of these, not written to state_dir yet."),
    # signing in by QR code
    Family("gate_sign_in_flows", "gauge", "Sign-ins by QR code that wait."),
    Family(
        "gate_sign_in_starts_total", "counter",
        "Sign-ins by QR code that were to begin, by result: started, full, unavailable.",
        ("result",),
    ),
    Family(
        "gate_sign_in_ends_total", "counter",
        "What came of them, by result: approved, refused, expired, failed, cancelled, replaced.",
        ("result",),
    ),
    # the site
    Family("gate_site_files", "gauge", "Files that are served.", join="max"),
    Family("gate_site_pages", "gauge", "Of these, pages.", join="max"),
    Family(
        "gate_site_loaded_timestamp_seconds", "gauge",
        "When the build was loaded that is served.", join="min",
    ),
    Family(
        "gate_site_builds_total", "counter",
        "Builds that were found, by result: loaded, refused.", ("result",), "max",
    ),
    # the log
    Family("gate_log_lines_lost_total", "counter", "Lines not written, by stream.", ("stream",)),
    Family("gate_log_lines_summarised_total", "counter", "Lines of which only a number is told."),
    # the gate
    Family("gate_ready", "gauge", "1 while /-/readyz says so.", join="min"),
    Family("gate_workers", "gauge", "Processes that answer requests."),
    Family("gate_build_info", "gauge", "1; its labels tell.", ("version", "python"), "max"),
    # the processes, by the names that every Prometheus client has for them
    Family("process_cpu_seconds_total", "counter", "Processor time, user and system."),
    Family("process_resident_memory_bytes", "gauge", "Memory in use."),
    Family("process_virtual_memory_bytes", "gauge", "Memory set aside."),
    Family("process_open_fds", "gauge", "File descriptors in use.", join="max"),
    Family("process_max_fds", "gauge", "File descriptors that may be.", join="min"),
    Family("process_start_time_seconds", "gauge", "When the process started.", join="min"),
)  # fmt: skip

BY_NAME: Final = {family.name: family for family in FAMILIES}
