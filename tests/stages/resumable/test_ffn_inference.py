"""The loop over the seeds, interrupted at any call of a network that is a line of NumPy."""

from __future__ import annotations

import contextlib
import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floodrunner.contract.stage import Context, Stopped
from floodrunner.segmentation.ffn import canvas as ffn
from floodrunner.stages.resumable import ffn_inference, state
from floodrunner.stages.resumable.ffn_inference import STATE_FILE, Inference
from tests.stages.resumable.stub import Events, Interrupter, Killed, context

OPTIONS = ffn.Options(0.95, 0.05, 0.9, 0.6, (1, 1, 1), 20, 0.0)
IMAGE = np.full((9, 12, 24), -1, np.float32)
IMAGE[2:7, 2:10, 2:10] = IMAGE[2:7, 2:10, 14:22] = 1
SEEDS = np.array([(4, 5, 5), (4, 6, 6), (0, 0, 0), (4, 5, 18)])


def bright(given: np.ndarray) -> np.ndarray:
    """The mask grows where the image is bright."""
    return given[..., 1:] + 12 * given[..., :1]


def infer(folder: Path, work: Context | None = None) -> tuple[Inference, Any]:
    work = work or context(folder, Events())
    loop = Inference({"seed": 1}, SEEDS, IMAGE.size, work)
    canvas = ffn.Canvas(IMAGE, loop.counted(bright), (3, 5, 5), (1, 2, 2), OPTIONS, None)
    with work.saves_on_stop():
        loop.flood(canvas)
    return loop, canvas


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_interrupted_at_any_call_and_continued_is_undisturbed(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffn_inference, "_SAVE_INTERVAL_S", 0 if how == "killed" else 300)
    expected, canvas = infer(tmp_path / "straight")
    assert canvas.max_id == 2
    continued = 0

    def kill() -> None:
        raise Killed

    for number in itertools.count(1):
        folder = tmp_path / str(number)
        work = context(folder, Events())
        interrupter = Interrupter(number, work.request_stop if how == "stopped" else kill)
        with pytest.MonkeyPatch.context() as patched, contextlib.suppress(Stopped, Killed):
            for owner, name in ((work, "stop_point"), (os, "fsync"), (Path, "replace")):
                interrupter.watch(patched, owner, name)
            infer(folder, work)
        if interrupter.calls < number:
            break
        again = context(folder, Events())
        loop, found = infer(folder, again)
        continued += (folder / STATE_FILE).exists()
        np.testing.assert_array_equal(found.segmentation, canvas.segmentation)
        np.testing.assert_array_equal(found.probability, canvas.probability)
        assert [vars(attempt) for attempt in loop.attempts] == [vars(attempt) for attempt in expected.attempts]
    assert number > 20
    assert continued > 0.8 * number
    arrays, values = state.load(folder / STATE_FILE)  # type: ignore[misc]
    assert values["next"] == len(SEEDS)
    assert arrays
