"""What to tell of verdicts, and of settings that work and may not be meant: data."""

from typing import Final

from gate.check.report import Diagnosis
from gate.tokens import MAX_TOKEN_BYTES
from gate.verify.jose.refusal import Refusal

YES_TO_RANDOM: Final = Diagnosis(
    "yes-to-a-random-token",
    "ALARM: the API says yes to a random token: everybody would get in",
    "mend the API, or point [verify] active at the field that holds the yes or no; look whether it"
    " reads the token where the gate puts it: {token}",
)
YES_TO_EMPTY: Final = Diagnosis(
    "yes-to-an-empty-token",
    "ALARM: the API says yes to an empty token. The gate never asks about one, so nobody gets in"
    " here by it; but whoever asks the API otherwise gets in with nothing",
    "let the API say no where no token is, before it looks anything up",
)
YES_TO_LONG: Final = Diagnosis(
    "yes-to-a-long-token",
    f"ALARM: the API says yes to a token of {MAX_TOKEN_BYTES} random characters: it cuts tokens"
    " off, or an error in it ends in a yes",
    "let the API judge the whole token, exactly as it is, and say no where its look-up fails",
)
LONG_UNANSWERED: Final = Diagnosis(
    "long-token-unanswered",
    f"the API has neither yes nor no for a token of {MAX_TOKEN_BYTES} characters; the gate takes"
    ' that as "cannot say", and whoever sends one gets 503',
    'nothing must be done; with [verify] token_in = "form" and method = "POST" long tokens are'
    " no problem for web servers",
)
NOT_ASKED: Final = Diagnosis(
    "not-asked",
    "an empty and a long token were not tried: their answers would tell nothing new",
    "mend the problem above, then run the check again",
)
NO_TOKEN_GIVEN: Final = Diagnosis(
    "no-token-given",
    "no good token was tried",
    "get one from the portal and run: gate check --token=TOKEN",
)
MALFORMED: Final = Diagnosis(
    "token-malformed",
    "it has characters that no bearer token may have, or is empty or too long; the gate refuses"
    " it without asking",
    f"tokens are 1 to {MAX_TOKEN_BYTES} letters, digits and -._~+/ with = at the end; let the"
    " portal make them in base64url",
)
REFUSED: Final = Diagnosis(
    "token-refused",
    "the API says no to it",
    "is it still good? does the API read it where the gate puts it ({token})? does [verify] active"
    " = {active} point at the right field?",
)
REFUSED_BY_STATUS: Final = Diagnosis(
    "all-refused-by-status",
    "the API answers {status} to every token; for the gate that is a no to the reader, and it may"
    " mean that the API does not know the gate",
    "look at the key in [verify] headers; let the API answer 500 when that key is wrong",
)
SCOPE_LACKS: Final = Diagnosis(
    "scope-lacks",
    'the API says yes, and its "scope" lacks a name of [introspection] scope: that is a no',
    "hand out tokens with that scope, or correct [introspection] scope",
)
SUBJECT_IS_TOKEN: Final = Diagnosis(
    "subject-is-the-token",
    "the API names the token itself as its user",
    "point [verify] subject at the user's name, so that the log never has a token",
)
EXPIRES_PAST: Final = Diagnosis(
    "expires-in-the-past",
    "the API says yes, and that the token ended {seconds} ago: that is a no",
    "look at the clocks of both machines and at the time zone: [verify] expires = {expires} is in"
    " seconds since 1970, UTC",
)
EXPIRES_SOON: Final = Diagnosis(
    "expires-soon",
    "it is good for {seconds} only; then the reader needs a new one",
    "let the portal hand out tokens that last, or set [session] recheck = false if it is a ticket",
)
MILLISECONDS: Final = Diagnosis(
    "expires-in-milliseconds",
    "its end is thousands of years away: milliseconds, where seconds are meant",
    "send seconds since 1970 at [verify] expires = {expires}",
)
TOO_LONG: Final = Diagnosis(
    "token-too-long-for-the-cookie",
    "it has {found} characters and does not fit into the cookie",
    "let the portal hand out shorter tokens, or set [session] recheck = false",
)
SLOW: Final = Diagnosis(
    "slow",
    "the answer took {seconds}, more than half of [verify] timeout = {timeout}; readers wait for"
    " it, and under load it will be no answer",
    "make the API faster: below 0.1 s is comfortable",
)
IS_A_JWT: Final = Diagnosis(
    "token-is-a-jwt",
    "it is a JWT, which can be judged here without asking the API about each",
    'if the portal publishes its keys, look at [verify] preset = "jwt"',
)
KEY_IGNORED: Final = Diagnosis(
    "key-ignored",
    "a key is not used: {found}",
    "look at what the issuer publishes",
)
NO_FILES: Final = Diagnosis(
    "certificates-unusable",
    "the certificates of [verify] cannot be used: {found}",
    "look at [verify] ca_file, client_certificate and client_key",
)

REFUSALS: Final = {
    Refusal.MALFORMED: (
        "it is no JWT, or one with an extension (crit, b64) that the gate does not know",
        "send the signed token itself, three parts with dots between; or choose another [verify]"
        " preset",
    ),
    Refusal.ALGORITHM: (
        "it is signed with an algorithm that is not in [jwt] algorithms",
        "add the algorithm of your issuer to [jwt] algorithms, or let it sign with one of those",
    ),
    Refusal.ISSUER: (
        "its \"iss\" is not exactly [jwt] issuer",
        "copy the issuer letter by letter, a slash at the end included",
    ),
    Refusal.AUDIENCE: (
        "its \"aud\" is not, or does not have, [jwt] audience",
        "let the portal ask its issuer for a token for this audience, or correct [jwt] audience",
    ),
    Refusal.NO_END: (
        "it has no \"exp\" that is a number",
        "let the issuer set when its tokens end: nobody can take a JWT back",
    ),
    Refusal.EARLY: (
        "its \"nbf\" or \"iat\" is in the future, or no number",
        "set both clocks by the network; [jwt] leeway allows for a difference",
    ),
    Refusal.SCOPE: (
        "its scope lacks a name of [jwt] scope",
        "hand out tokens with that scope, or correct [jwt] scope",
    ),
    Refusal.CLAIM: (
        "a claim that the gate reads is of the wrong type: scope, [verify] subject or expires, or"
        " [session] expires",
        "correct the pointers, or let the issuer send texts and numbers there",
    ),
    Refusal.EXPIRED: (
        "it has expired",
        "take a fresh token, and set both clocks by the network",
    ),
    Refusal.KEY: (
        "the key that it names (kid) is not among the known ones",
        "look whether [verify] url or [jwt] key_file is that of the issuer of this token, and"
        " publish a new key some minutes before it signs",
    ),
    Refusal.SIGNATURE: (
        "none of the known keys made its signature",
        "look whether the token is whole, and by the issuer whose keys these are",
    ),
}  # fmt: skip


def refusal(why: Refusal) -> Diagnosis:
    """What to tell of a JWT that is no good."""
    return Diagnosis(why.value, *REFUSALS[why])
