"""The measuring: interleaved rounds, so that what else the machine does meets everyone alike."""

import sys
from collections.abc import Callable, Mapping, Sequence

from bench.load import run
from bench.machine import Cores
from bench.names import GATE
from bench.results import Row, Sample, Table
from bench.scenarios import Scenario
from bench.servers import Answer, BenchProblem
from bench.stage import Contender

MIB = 1 << 20

Tell = Callable[[str], None]


class Rounds:
    """How often and how long is measured, and where."""

    def __init__(self, *, rounds: int | None, seconds: int, cores: Cores, tell: Tell) -> None:
        self.rounds = rounds
        """Instead of the scenario's own."""
        self.seconds = seconds
        self.cores = cores
        self.tell = tell

    def measure(
        self, contenders: Sequence[Contender], scenario: Scenario, *, secure: bool = False
    ) -> list[Row]:
        """A B C A B C …"""
        samples: dict[str, list[Sample]] = {each.name: [] for each in contenders}
        failed: dict[str, str] = {}
        count = self.rounds or scenario.rounds
        for number in range(count):
            self.tell(f"{scenario.name}: round {number + 1} of {count}")
            for each in contenders:
                if each.name in failed:
                    continue
                try:
                    samples[each.name].append(self.sample(each, scenario, secure))
                except BenchProblem as problem:
                    if each.name == GATE:
                        raise
                    print(f"{each.name}: {problem}", file=sys.stderr)
                    failed[each.name] = "did not answer every request"
        return [
            Row(each.name, [], failed[each.name])
            if each.name in failed
            else Row(each.name, samples[each.name], sent(each.answers[scenario.name]))
            for each in contenders
        ]

    def sample(self, contender: Contender, scenario: Scenario, secure: bool) -> Sample:
        """One contender under one scenario in one round."""
        server = contender.server
        before = server.cpu_seconds
        load = run(
            contender.scripts[scenario.name],
            server.port,
            seconds=self.seconds * scenario.times,
            core=self.cores.load,
            connections=scenario.connections,
            secure=secure,
        )
        spent = server.cpu_seconds - before
        memory = server.resident
        counted = load.requests / scenario.requests
        contender.answered += load.requests
        server.settle()
        return {
            "micros": spent / counted * 1e6,
            "rate": counted / load.seconds,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "rss_mib": memory / MIB,
        }


def sent(answers: Sequence[Answer]) -> str:
    """What a contender sent: the coding, and the bytes of all its answers."""
    codings = {answer.header("Content-Encoding") for answer in answers if answer.body} - {""}
    size = sum(len(answer.body) for answer in answers)
    return f"{', '.join(sorted(codings)) or 'uncompressed'}, {size:,} bytes" if size else ""


def table(scenario: Scenario, rows: Sequence[Row], absent: Mapping[str, str]) -> Table:
    """With those who are not on this machine."""
    missing = [Row(name, [], why) for name, why in absent.items()]
    return Table(scenario.name, scenario.says, [*rows, *missing], scenario.each)
