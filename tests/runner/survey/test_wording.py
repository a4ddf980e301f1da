"""Times as people say them, the table of `plan`, and the line of `run`."""

from __future__ import annotations

import pytest

from floodrunner.contract.survey import Cost, Network, Work
from floodrunner.runner.survey import wording
from floodrunner.runner.survey.estimate import Estimate, estimate
from floodrunner.runner.survey.speeds import MEASURED, RUN, Speed

NETWORK = Network(kind="ffn", settings={}, shape=(1, 3, 3, 3), trains=True)


def cost(amount: float, most: float | None = None, unit: str = "steps", **more: object) -> Cost:
    fields = {"network": NETWORK, **more}
    work = Work(least=amount, most=most or amount, unit=unit, speed="s", **fields)  # type: ignore[arg-type]
    return Cost(memory=1.2e9, disk=2.1e8, work=work)


def estimated(costs: dict[str, Cost], rate: float = 0, at_least: bool = False, how: str = RUN) -> list[Estimate]:
    """Estimates with this speed for all steps but `train`."""
    devices = {step: "none" if step == "train" else "cpu" for step in costs}
    speeds = {"cpu: s": Speed(rate=rate, how=how, at_least=at_least)} if rate else {}  # type: ignore[arg-type]
    return estimate(list(costs), costs, devices, speeds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "under a minute"),
        (59, "under a minute"),
        (70, "1 minute"),
        (95, "2 minutes"),
        (59 * 60, "59 minutes"),
        (123 * 60, "2 hours"),
        (30 * 3600, "30 hours"),
        (3 * 86_400, "3 days"),
        (416.2 * 86_400, "420 days"),
        (1234 * 86_400, "3 years"),
        (1e12, "32,000 years"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds: float, words: str) -> None:
    assert wording.about(seconds) == words


def test_a_million_steps() -> None:
    lines = wording.table(estimated({"segment": cost(1e6)}, 0.02781, how=MEASURED), 95_000_000_000)
    assert lines[0] == "It needs about this (95.0 GB of disk are free):"
    assert [line.split() for line in lines[1:4]] == [
        ["step", "time", "memory", "disk"],
        ["segment", "420", "days", "1.2", "GB", "210.0", "MB"],
        ["in", "all", "420", "days", "1.2", "GB", "210.0", "MB"],
    ]
    assert lines[4] == "  segment: 1,000,000 steps, 0.028 a second (measured)"


def test_a_busy_machine_gives_bounds_wherever_the_time_is_told() -> None:
    found = estimated({"segment": cost(1e6)}, 0.17, at_least=True)
    lines = wording.table(found, 10**12)
    assert "68 days or less" in lines[2]
    assert "68 days or less" in lines[3]
    assert (
        lines[4] == "  segment: 1,000,000 steps, 0.17 a second or more (as an earlier run, while the machine was busy)"
    )
    assert wording.in_short(found).startswith("this needs about 68 days or less; 1.2 GB of memory")


def test_a_range_and_a_speed_that_nobody_knows() -> None:
    found = estimated({"segment": cost(1023, 4077), "train": cost(10, may_end_early=True)}, 0.1)
    lines = wording.table(found, 10**9)
    assert "3 to 11 hours" in lines[2]
    assert "not known" in lines[3]
    assert "3 to 11 hours and more" in lines[4]
    assert lines[5] == "  segment: 1,000 to 4,100 steps, depending on the image, 0.1 a second (as an earlier run)"
    assert lines[6] == "  train: at most 10 steps; their speed is not known"


def test_a_run_tells_first_what_takes_an_unknown_time() -> None:
    find = cost(0.131072, unit="megapixels, 8 predictions each")
    costs = {"nuclei": cost(10, network=None, rough=10.0), "train": cost(1000, may_end_early=True), "find": find}
    found = [*estimated(costs), Estimate("more", None, None)]
    assert wording.in_short(found) == (
        "train (at most 1,000 steps), find (0.13 megapixels, 8 predictions each): speed not known yet "
        "(floodrunner plan measures it); more: time not known; the other steps need under a minute; "
        "1.2 GB of memory, 630.0 MB of disk"
    )
    assert wording.in_short(estimated({"train": cost(10)})) == (
        "train (10 steps): speed not known yet (floodrunner plan measures it); 1.2 GB of memory, 210.0 MB of disk"
    )
    assert wording.in_short([]) == ""


def test_a_run_of_known_steps() -> None:
    assert wording.in_short(estimated({"a": cost(10)}, 10)).startswith("this needs under a minute; 1.2 GB")
    assert wording.in_short(estimated({"a": cost(100, 1000)}, 10)).startswith("this needs up to 2 minutes; 1.2 GB")


def test_a_step_of_which_nothing_is_known_is_in_the_table() -> None:
    lines = wording.table([*estimated({"a": cost(1000)}, 1), Estimate("b", None, None)], 10**12)
    assert lines[3].split() == ["b", *["not", "known"] * 3]
    assert "17 minutes and more" in lines[4]


def test_the_table_fits_into_80_columns() -> None:
    found = estimated({"a-step-of-a-long-name": cost(1e6, 3e6), "b": cost(1e9)}, 1, at_least=True)
    assert max(map(len, wording.table(found, 10**12)[:5])) <= 80


def test_less_than_a_minute_is_no_sum_of_what_is_not_known() -> None:
    lines = wording.table(estimated({"a": cost(1), "train": cost(1000)}, 1), 10**12)
    assert [line.split()[-4] for line in lines[2:5]] == ["1.2"] * 3
    assert lines[4].split()[:4] == ["in", "all", "not", "known"]
