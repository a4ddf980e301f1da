"""Times as people say them, the table of `plan`, and what is too little."""

from __future__ import annotations

import pytest

from floodrunner.contract.survey import Cost, Network, Work
from floodrunner.runner.survey import estimate
from floodrunner.runner.survey.speeds import Speed

NETWORK = Network(kind="ffn", settings={}, shape=(1, 3, 3, 3), trains=True)


def cost(amount: float, most: float | None = None, **more: object) -> Cost:
    work = Work(least=amount, most=most or amount, unit="steps", speed="s", network=NETWORK, **more)  # type: ignore[arg-type]
    return Cost(memory=1.2e9, disk=2.1e8, work=work)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "a second"),
        (1.4, "a second"),
        (7, "7 seconds"),
        (44, "44 seconds"),
        (95, "2 minutes"),
        (59 * 60, "59 minutes"),
        (123 * 60, "2 hours"),
        (30 * 3600, "30 hours"),
        (3 * 86_400, "3 days"),
        (416.2 * 86_400, "416 days"),
        (1234 * 86_400, "3 years"),
        (1e12, "32,000 years"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert estimate.about(seconds) == words


def test_a_million_steps() -> None:
    found = estimate.estimate(
        {"train": cost(1e6)}, {"train": "cpu"}, {}, {"cpu: s": Speed(rate=0.0278, how="measured")}
    )
    lines = estimate.table(found, 95_000_000_000)
    assert lines[0] == "It needs about this (95.0 GB of disk are free):"
    assert [line.split() for line in lines[1:4]] == [
        ["step", "time", "memory", "disk"],
        ["train", "416", "days", "1.2", "GB", "210.0", "MB"],
        ["in", "all", "416", "days", "1.2", "GB", "210.0", "MB"],
    ]
    assert lines[4].startswith("  train: 1,000,000 steps, 0.0278 a second (measured now")


def test_a_range_and_a_speed_that_nobody_knows() -> None:
    costs = {"segment": cost(1000, 4000), "train": cost(10, may_end_early=True)}
    devices = {"segment": "gpu", "train": "cpu"}
    found = estimate.estimate(costs, devices, {"gpu: s": Speed(rate=0.1, how="run")}, {})
    lines = estimate.table(found, 10**9)
    assert "3 to 11 hours" in lines[2]
    assert "not known" in lines[3]
    assert "3 to 11 hours and more" in lines[4]
    assert lines[5] == "  segment: 1,000 to 4,000 steps, as the tissue needs, 0.1 a second (as an earlier run)"
    assert lines[6] == "  train: at most 10 steps; their speed is not known: floodrunner plan measures it"
    assert estimate.in_short(found) == (
        "this needs about 3 to 11 hours, without train, whose speed floodrunner plan measures; 1.2 GB of memory, "
        "420.0 MB of disk"
    )


def test_the_table_fits_into_80_columns() -> None:
    costs = {"a-step-of-a-long-name": cost(1e6, 3e6), "b": cost(1e9)}
    devices = dict.fromkeys(costs, "cpu")
    found = estimate.estimate(costs, devices, {"cpu: s": Speed(rate=1, how="measured")}, {})
    assert max(map(len, estimate.table(found, 10**12)[:5])) <= 80


def test_what_is_too_little() -> None:
    found = estimate.estimate({"a": cost(1), "b": cost(1)}, {"a": "x", "b": "x"}, {}, {})
    assert estimate.warnings(found, {"a": 2e9, "b": 2e9}, 10**9) == []
    memory, disk = estimate.warnings(found, {"a": 1e9, "b": 2e9}, 10**8)
    assert memory.startswith("a: needs about 1.2 GB of memory, but may use 1.0 GB; try ")
    assert disk.startswith("the steps write about 420.0 MB, and 100.0 MB are free; free some space")


def test_the_sum_names_the_steps_of_unknown_speed() -> None:
    costs, devices = {"a": cost(10, 20), "b": cost(1)}, {"a": "x", "b": "y"}
    found = estimate.total(estimate.estimate(costs, devices, {"x: s": Speed(rate=1, how="run")}, {}))
    assert (found.unknown, found.memory, found.disk) == (("b",), 1.2e9, 4.2e8)
    assert found.seconds is not None
    assert estimate.total([]) == estimate.Total(None, (), 0, 0)
