"""The outcomes: the words for every decision of the gate, in code, log and metrics."""

from enum import Enum


class Outcome(Enum):
    """The gate's one decision about a request: the branch in code, the field in the log, the
    label in the metrics."""

    ALLOWED = "allowed"  # the session or the Bearer token is good
    PUBLIC = "public"  # anyone may read this
    STALE = "stale"  # good once, and the verify API cannot say now
    INTAKE = "intake"  # a new token was good: a session begins
    NO_TOKEN = "no_token"  # nothing was brought
    REFUSED = "refused"  # the token is not good
    EXPIRED = "expired"  # the session ran out
    FORBIDDEN = "forbidden"  # origin, framing or rule
    LIMITED = "limited"  # too many attempts
    UNAVAILABLE = "unavailable"  # the verify API is needed and cannot say
    MALFORMED = "malformed"  # not a request we can read
    FAILED = "failed"  # our own fault
