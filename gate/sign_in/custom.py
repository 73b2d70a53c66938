"""A wallet's or a house's own API, as `[sign_in.qr]` describes it: where a transaction begins,
where its result is asked for, and which answers count as pending, accepted or refused."""

import json
import uuid
from collections.abc import Sequence
from urllib.parse import quote, urlencode

from gate.config.rules import Rule, parse_rule
from gate.config.sign_in import QrSettings
from gate.sign_in.asking import Api, Said, text_of
from gate.sign_in.progress import Answer, BadAnswer, Transaction, Unreachable, Word
from gate.verify.judge import Pointer


class CustomAuthorizer:
    """The API of `preset = "custom"`."""

    def __init__(self, settings: QrSettings, api: Api) -> None:
        self._settings = settings
        self._api = api
        self._transaction = Pointer(settings.transaction_pointer)
        self._text = Pointer(settings.text_pointer)
        self._result = Pointer(settings.result_pointer) if settings.result_pointer else None
        # refusals first: what fits two rules by mistake must not let anybody in
        self._rules = (
            (Word.REFUSED, _rules(settings.refused)),
            (Word.PENDING, _rules(settings.pending)),
            (Word.ACCEPTED, _rules(settings.accepted)),
        )

    async def start(self, name: str) -> Transaction:
        """Begin; `name` is what the person typed, "" where nobody asked. Raises `Unreachable` or
        `BadAnswer`."""
        settings = self._settings
        ours = str(uuid.uuid4()) if "{id}" in settings.start_url else ""
        fields = {settings.name_field: name} if settings.ask_name else {}
        said = await self._ask(settings.start_method, settings.start_url, ours, fields)
        if not 200 <= said.status < 300:
            if said.is_passing:
                raise Unreachable(f"the answer has status {said.status}")
            raise BadAnswer(f"start_url answers {said.status}")
        found = self._text.find(said.document)
        return Transaction(
            secret=ours or text_of(self._transaction.find(said.document), "transaction id"),
            text=text_of(found, "text at text_pointer"),
        )

    async def poll(self, transaction: Transaction) -> Answer:
        """Ask for the result. Raises `Unreachable` or `BadAnswer`."""
        settings = self._settings
        fields = {settings.poll_field: transaction.secret} if settings.poll_field else {}
        said = await self._ask(settings.poll_method, settings.poll_url, transaction.secret, fields)
        for word, rules in self._rules:
            if any(_holds(rule, said) for rule in rules):
                return self._answer(word, said, transaction)
        if said.is_passing:
            raise Unreachable(f"the answer has status {said.status}")
        raise BadAnswer(f"poll_url answers {said.status}, and no rule fits the answer")

    def _answer(self, word: Word, said: Said, transaction: Transaction) -> Answer:
        if word is not Word.ACCEPTED:
            return Answer(word)
        if self._result is None:
            return Answer(word, transaction.secret)
        return Answer(word, text_of(self._result.find(said.document), "text at result_pointer"))

    async def _ask(self, method: str, url: str, secret: str, fields: dict[str, str]) -> Said:
        url = url.replace("{id}", quote(secret, safe=""))
        if method == "POST":
            body = json.dumps(fields).encode("ascii")
            return await self._api.ask(method, url, body, {"Content-Type": "application/json"})
        if fields:
            url += ("&" if "?" in url else "?") + urlencode(fields)
        return await self._api.ask(method, url, None, {})


def _rules(texts: Sequence[str]) -> tuple[Rule, ...]:
    return tuple(parse_rule(text) for text in texts)


def _holds(rule: Rule, said: Said) -> bool:
    return all(said.status in statuses for statuses in rule.statuses) and all(
        _same(Pointer(pointer).find(said.document), value) for pointer, value in rule.values
    )


def _same(found: object, wanted: object) -> bool:
    # Python's True equals 1, JSON's does not
    return isinstance(found, bool) is isinstance(wanted, bool) and found == wanted
