"""The time, memory and disk of steps, their sums, and what is too little."""

from __future__ import annotations

from floodrunner.contract.survey import Cost, Network, Work
from floodrunner.runner.survey import estimate
from floodrunner.runner.survey.speeds import RUN, START_S, Speed

NETWORK = Network(kind="ffn", settings={}, shape=(1, 3, 3, 3), trains=True)
SPEED = Speed(rate=2, how=RUN, at_least=False)


def cost(amount: float, most: float | None = None, **more: object) -> Cost:
    work = Work(least=amount, most=most or amount, unit="steps", speed="s", **more)  # type: ignore[arg-type]
    return Cost(memory=1.2e9, disk=2.1e8, work=work)


def test_a_time_holds_the_start_of_the_step() -> None:
    costs = {"a": cost(10, rough=5.0), "b": cost(10, 20), "c": cost(10, network=NETWORK)}
    found = estimate.estimate(["a", "b", "c"], costs, {"a": "x", "b": "y", "c": "y"}, {"y: s": SPEED})
    plain, span, network = (each.seconds for each in found)
    assert plain == (START_S + 2, START_S + 2)
    assert span == (START_S + 5, START_S + 10)
    assert network is not None
    assert network[0] > 5 + 5  # loads libraries, and compiles


def test_the_sum_names_the_steps_of_unknown_speed() -> None:
    costs = {"a": cost(10, 20), "b": cost(1)}
    found = estimate.estimate(["a", "b", "c"], costs, {"a": "x", "b": "y"}, {"x: s": SPEED})
    whole = estimate.total(found)
    assert whole == estimate.Total((START_S + 5, START_S + 10), False, ("b", "c"), 1.2e9, 4.2e8)
    assert estimate.total([]) == estimate.Total(None, False, (), 0, 0)


def test_a_speed_of_a_busy_machine_makes_the_sum_a_bound() -> None:
    busy = Speed(rate=2, how=RUN, at_least=True)
    found = estimate.estimate(
        ["a", "b"], {"a": cost(1), "b": cost(1)}, {"a": "x", "b": "y"}, {"x: s": SPEED, "y: s": busy}
    )
    assert [estimate.total([each]).at_most for each in found] == [False, True]
    assert estimate.total(found).at_most


def test_what_is_too_little() -> None:
    smaller = cost(1).model_copy(update={"less_memory": "a smaller tile"})
    found = estimate.estimate(["a", "b"], {"a": smaller, "b": cost(1)}, {"a": "x", "b": "x"}, {})
    assert estimate.warnings(found, {"a": 2e9, "b": 2e9}, 10**9) == []
    a, b, disk = estimate.warnings(found, {"a": 1e9, "b": 1e9}, 10**8)
    assert a == (
        "a: needs about 1.2 GB of memory, but may use 1.0 GB; try a smaller tile, or a machine with more memory"
    )
    assert b.endswith("; try a machine with more memory")
    assert disk.startswith("the steps write about 420.0 MB, and 100.0 MB are free; free some space")
