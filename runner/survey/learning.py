"""Finds out how fast this machine is: measures networks before a run, and learns from finished steps."""

from __future__ import annotations

from collections.abc import Callable

from floodrunner.contract.survey import Network
from floodrunner.runner import machine
from floodrunner.runner.survey import ask, speeds
from floodrunner.runner.survey.ask import NoAnswer
from floodrunner.runner.survey.before import Before
from floodrunner.runner.survey.speeds import MEASURED, RUN, Speed, key
from floodrunner.runner.workdir.progress import Progress

Say = Callable[[str], object]


def measure(before: Before, say: Say) -> dict[str, Speed]:
    """Measures the networks whose speed is not known, or only from a busy machine. Ctrl-C ends it.

    Returns:
      What was found, in the form of `speeds.known`. It is kept for later plans, too.
    """
    known, busy = speeds.known(), machine.is_busy()  # asked first: the measurement itself keeps the machine busy
    wanted: dict[bool, dict[str, Network]] = {}
    units: dict[str, tuple[str, float]] = {}
    for step, cost in before.report.costs.items():
        if cost.work is None or cost.work.network is None:
            continue
        work, options, network = cost.work, before.options(step), cost.work.network
        former = known.get(key(before.device(step), work.speed))
        if former is not None and (busy or not former.at_least):
            continue
        units[work.speed] = (before.device(step), work.per_call)
        if not speeds.gpu(before.engine, options):  # the time of a processor grows with the batch; one is quicker
            units[work.speed] = (before.device(step), work.per_call / network.shape[0])
            network = network.model_copy(update={"shape": (1, *network.shape[1:])})
        wanted.setdefault(options.gpu, {})[work.speed] = network
    found: dict[str, Speed] = {}
    for gpu, networks in wanted.items():
        count = f"{len(networks)} networks" if len(networks) > 1 else "the network"
        say(f"measuring the speed of {count}, at most {ask.LONGEST_MEASUREMENT_S} s ...")
        try:
            answer = ask.speeds(networks, before.engine, before.root, gpu)
        except NoAnswer as error:
            before.trouble = before.trouble or f"the speed was not measured: {error}"
            continue
        for name, rate in answer.speeds.items():
            if name in networks and rate > 0:
                device, unit = units[name]
                speed = Speed(rate=rate * unit, how=MEASURED, at_least=busy or name in answer.hurried)
                speeds.keep(device, name, speed)
                found[key(device, name)] = speed
    return found


def learn(before: Before, step: str, progress: Progress, seconds: float) -> None:
    """Keeps the speed of a step that has just finished, for the estimates of later runs."""
    cost = before.report.costs.get(step)
    if cost is not None and cost.work is not None and (rate := speeds.of_step(cost.work, progress, seconds)):
        speeds.keep(before.device(step), cost.work.speed, Speed(rate=rate, how=RUN, at_least=machine.is_busy()))
