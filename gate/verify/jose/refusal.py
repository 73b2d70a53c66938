"""Why a JWT is no good: for whoever looks for the reason. Readers are told of none."""

from enum import Enum, unique


@unique
class Refusal(Enum):
    """The first thing that was found wrong."""

    MALFORMED = "jwt-malformed"
    ALGORITHM = "jwt-algorithm"
    ISSUER = "jwt-issuer"
    AUDIENCE = "jwt-audience"
    NO_END = "jwt-without-exp"
    EARLY = "jwt-not-yet-good"
    SCOPE = "jwt-scope"
    CLAIM = "jwt-claim-of-wrong-type"
    EXPIRED = "jwt-expired"
    KEY = "jwt-key-unknown"
    SIGNATURE = "jwt-signature"
