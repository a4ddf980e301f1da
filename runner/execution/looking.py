"""Looks at the inputs of a run before its first step."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping

from floodrunner.runner.execution import skip
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.execution.skip import Contents, Decision
from floodrunner.runner.fingerprint.content import Cache
from floodrunner.runner.survey import ask, estimate, wording
from floodrunner.runner.survey import needs as needing
from floodrunner.runner.survey.before import Before
from floodrunner.runner.survey.estimate import Total

_SAY_AFTER_S = 3.0


def look(setting: Setting, cache: Cache, decisions: Mapping[str, Decision] | None = None) -> Before:
    """Has a survey look at the inputs of the steps that have to run. Changes nothing in the run folder.

    Args:
      cache: hashes of files, so that none is read twice.
      decisions: what a run would do with each step, if that is known already.
    """
    before = Before(setting.plan, setting.engine_name, setting.engine, setting.root)
    if any(map(ask.has_module, setting.plan.steps)):
        decisions = decisions or skip.decisions(
            setting.plan, setting.engine, setting.root, Contents(setting.plan, cache)
        )
        with _said_if_slow():
            before.look([step for step, each in decisions.items() if each.runs is False])
    return before


@contextlib.contextmanager
def _said_if_slow() -> Iterator[None]:
    """Tells somebody at a terminal what takes so long: there may be thousands of sections on a slow disk."""
    timer = threading.Timer(_SAY_AFTER_S, print, ["looking at the heads of the inputs ..."], {"flush": True})
    timer.daemon = True
    if sys.stdout.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def needs(before: Before) -> Total:
    """What all steps that have to run need together."""
    return estimate.total(needing.estimates(before))


def at_start(before: Before) -> list[str]:
    """What a run says of it before its first step, a line each."""
    found = needing.estimates(before)
    return [line for line in (before.trouble, wording.in_short(found), *needing.warnings(before, found)) if line]
