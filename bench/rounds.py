"""The measuring: interleaved rounds, so that what else the machine does meets everyone alike."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.contenders import Contender
from bench.load import run
from bench.machine import Cores, cpu_seconds
from bench.scenarios import Scenario


@dataclass(frozen=True, slots=True)
class Sample:
    """One contender under one scenario in one round."""

    micros: float
    """Processor time of the server a request."""
    rate: float
    """Requests a second."""
    p99_ms: float
    requests: int


@dataclass(frozen=True, slots=True)
class Row:
    """One contender under one scenario in all rounds."""

    contender: str
    samples: Sequence[Sample]

    @property
    def micros(self) -> float:
        """The median."""
        return statistics.median(sample.micros for sample in self.samples)

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(sample.rate for sample in self.samples)

    @property
    def p99_ms(self) -> float:
        """The median."""
        return statistics.median(sample.p99_ms for sample in self.samples)

    def ratio(self, yardstick: "Row") -> float:
        """How many times the yardstick's processor time: the median of each round's own ratio."""
        pairs = zip(self.samples, yardstick.samples, strict=True)
        return statistics.median(ours.micros / theirs.micros for ours, theirs in pairs)


def measure(
    contenders: Sequence[Contender],
    scenario: Scenario,
    *,
    rounds: int,
    seconds: int,
    cores: Cores,
    tell: Callable[[str], None],
) -> list[Row]:
    """A B C A B C …"""
    samples: dict[str, list[Sample]] = {each.name: [] for each in contenders}
    for number in range(rounds):
        tell(f"{scenario.name}: round {number + 1} of {rounds}")
        for contender in contenders:
            samples[contender.name].append(_sample(contender, scenario.name, seconds, cores))
    return [Row(name, found) for name, found in samples.items()]


def _sample(contender: Contender, scenario: str, seconds: int, cores: Cores) -> Sample:
    server = contender.server
    before = cpu_seconds(server.pid)
    load = run(contender.scripts[scenario], server.port, seconds=seconds, core=cores.load)
    spent = cpu_seconds(server.pid) - before
    return Sample(
        micros=spent / load.requests * 1e6,
        rate=load.requests / load.seconds,
        p99_ms=load.p99_ms,
        requests=load.requests,
    )
