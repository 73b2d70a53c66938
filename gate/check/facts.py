"""What a diagnosis speaks of: the settings and the answer, as texts that can be printed."""

from dataclasses import asdict, dataclass

from gate.check.causes import TEXTS
from gate.check.report import Diagnosis
from gate.config.settings import VerifySettings
from gate.config.spelling import masked_url
from gate.verify.cause import Cause


@dataclass(frozen=True, slots=True)
class Facts:
    """What the texts speak of. `wanted` is what a good answer holds."""

    url: str
    proxy: str
    method: str
    token: str
    active: str
    subject: str
    expires: str
    connect_timeout: str
    timeout: str
    wanted: str
    status: str = ""
    location: str = ""
    found: str = ""
    cure: str = ""
    seconds: str = ""

    @classmethod
    def of(cls, verify: VerifySettings) -> "Facts":
        """The facts before anything was asked."""
        is_jwt = verify.preset == "jwt"
        return cls(
            url=masked_url(verify.url),
            proxy=masked_url(verify.proxy) or "none",
            method=verify.method,
            token=f'token_in = "{verify.token_in}", token_name = "{verify.token_name}"',
            active=f'"{verify.active}"',
            subject=f'"{verify.subject}"',
            expires=f'"{verify.expires}"',
            connect_timeout=f"{verify.connect_timeout:g} s",
            timeout=f"{verify.timeout:g} s",
            wanted="a JWKS" if is_jwt else "true or false",
        )


def diagnosis_of(cause: Cause, facts: Facts) -> Diagnosis:
    """What a cause means here."""
    what, next_step = TEXTS[cause]
    return Diagnosis(cause.value, what, next_step).with_facts(asdict(facts))
