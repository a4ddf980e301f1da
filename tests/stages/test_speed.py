"""The measurement of networks: calls or training steps a second, with the real code."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.contract.survey import Network, Speeds
from floodrunner.stages import _speed
from tests.conftest import StageResult

FFN = {"depth": 1, "features": 2, "fov": [3, 5, 5], "deltas": [0, 0, 0]}
UNET = {"architecture": "classic", "channels": 1, "depth": 1, "width": 2, "squash": False}


def test_calls_and_training_steps_of_both_networks(run_stage: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_speed, "_SECONDS", 0.01)
    networks = {
        "a": Network(kind="ffn", settings=FFN, shape=(2, 3, 5, 5), trains=True),
        "b": Network(kind="ffn", settings=FFN, shape=(1, 3, 5, 5), trains=False),
        "c": Network(kind="unet", settings=UNET, shape=(2, 16, 16), trains=True),
        "d": Network(kind="unet", settings=UNET, shape=(1, 32, 16), trains=False),
    }
    params = {name: network.model_dump(mode="json") for name, network in networks.items()}
    result: StageResult = run_stage("-speed", {}, networks=params)  # type: ignore[call-arg, assignment]
    found = Speeds.model_validate_json(result["report"].read_bytes()).speeds
    assert list(found) == list(networks)
    assert all(speed > 0.1 for speed in found.values())


def test_what_is_found_is_written_at_once(run_stage: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner ends a measurement that takes too long."""
    written: list[Speeds] = []

    def two_calls_for_each_network(call: object, seconds: float) -> float:
        if len(written) < 3:
            if (report := next(tmp_path.rglob("report*"), None)) is not None:
                written.append(Speeds.model_validate_json(report.read_bytes()))
            else:
                written.append(Speeds())
            return 2.0
        raise KeyboardInterrupt

    monkeypatch.setattr(_speed, "_calls_per_second", two_calls_for_each_network)
    monkeypatch.setattr(_speed, "_call_of", lambda network: None)
    network = Network(kind="ffn", settings=FFN, shape=(1, 3, 5, 5), trains=False).model_dump(mode="json")
    with pytest.raises(KeyboardInterrupt):
        run_stage("-speed", {}, networks={"a": network, "b": network})
    assert written == [
        Speeds(),
        Speeds(speeds={"a": 2.0}, hurried=("a",)),
        Speeds(speeds={"a": 2.0}),
    ]


def test_a_slow_network_is_called_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter((100.0, 150.0, 150.0))
    monkeypatch.setattr(_speed.time, "monotonic", lambda: next(now))
    calls: list[int] = []
    assert _speed._calls_per_second(lambda: calls.append(1), 3.0) == pytest.approx(1 / 50)
    assert len(calls) == 1
