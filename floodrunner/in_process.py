"""Runs stages in this process, on data in a temporary folder: the same code as in a run, so the same results."""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from floodrunner.contract.job import Job
from floodrunner.contract.ports import port_file
from floodrunner.contract.stage import Context, InputError, StageParams
from floodrunner.runner.engines.local import keras_settings
from floodrunner.runner.pipeline import explain
from floodrunner.runner.terminal import display
from floodrunner.runner.terminal.display import Display
from floodrunner.runner.workdir import events

_TEXTS = ("picture", "kind", "object_ids", "truth_ids", "part_voxels")
"""Columns of tables that hold text, although it may look like a number."""


class Listener(Context):
    """The context of a stage in this process: what it reports is shown, and kept.

    Attributes:
      said: its messages.
      concluded: its sentences about the result.
    """

    def __init__(self, job: Job, show: Display | None = None, folder: Path | None = None) -> None:
        """`folder`: a temporary folder, which messages do not name."""
        super().__init__(job, io.StringIO())
        self.said: list[str] = []
        self.concluded: list[str] = []
        self._show = show
        self._folder = "" if folder is None else f"{folder}{os.sep}"

    def message(self, text: str) -> None:
        text = text.replace(self._folder, "") if self._folder else text
        self.said.append(text)
        self.emit("message", text=text)

    def conclude(self, text: str) -> None:
        self.concluded.append(text)

    def emit(self, event: str, **fields: Any) -> None:
        found = events.read({"event": event, "time": time.time(), **fields})
        if self._show is not None and found is not None:
            self._show.event(self.step, found)


def reader(path: str) -> Listener:
    """The context with which functions of `stages/readers/` are called: it keeps what they say."""
    return Listener(Job(step="read", stage="read", params={}, inputs={"stack": path}, outputs={}, state=""))


def warn(lines: Sequence[str], level: int = 2) -> None:
    """Warns the caller of a function of ours, whose name is not known here: `level` frames above."""
    for line in lines:
        warnings.warn(line, stacklevel=level + 1)


class Steps:
    """A few stages that run one after the other in a temporary folder.

    Attributes:
      folder: what the caller and the stages write; it is removed at the end.
      said: the messages of all stages.
    """

    def __init__(self, folder: Path, show: Display) -> None:
        self.folder = folder
        self.said: list[str] = []
        self._show = show

    def run(self, step: str, stage: str, inputs: Mapping[str, Path | str], params: Mapping[str, Any]) -> Done:
        """Runs a stage.

        Raises:
          InputError: if a parameter or the input is wrong.
        """
        module = importlib.import_module(f"floodrunner.stages.{stage.replace('-', '_')}")
        parsed = checked(module.Params, params, inputs)
        place = self.folder / step
        place.mkdir()
        outputs = {port: place / port_file(port, kind) for port, kind in module.OUTPUTS.items()}
        job = Job(
            step=step,
            stage=stage,
            params={},
            inputs={port: str(path) for port, path in inputs.items()},
            outputs={port: str(path) for port, path in outputs.items()},
            state=str(place / "state"),
        )
        context, begun, ended = Listener(job, self._show, self.folder), time.monotonic(), "failed"
        self._show.started(step, "never run")
        try:
            module.run(parsed, context)
            ended = "done"
        except InputError as error:
            raise InputError(str(error).replace(f"{self.folder}{os.sep}", "")) from None
        except KeyboardInterrupt:
            ended = "stopped"
            raise
        finally:
            self._show.finished(step, ended, time.monotonic() - begun)
        self.said += context.said
        return Done(outputs, context.concluded)


class Done:
    """What a stage has made: `done["segmentation"]` is the path of a port, `conclusions` are its sentences."""

    def __init__(self, outputs: dict[str, Path], conclusions: list[str]) -> None:
        self._outputs = outputs
        self.conclusions = tuple(conclusions)

    def __getitem__(self, port: str) -> Path:
        return self._outputs[port]

    def json(self, port: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self[port].read_text(encoding="utf-8"))
        return found

    def table(self, name: str) -> list[dict[str, Any]]:
        """The rows of a CSV file beside the outputs."""
        with open(next(iter(self._outputs.values())).parent / name, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [{name: text if name in _TEXTS else _value(text) for name, text in row.items()} for row in rows]


@contextlib.contextmanager
def steps(stages: Mapping[str, str], quiet: bool) -> Iterator[Steps]:
    """Makes a temporary folder and a display for a few stages.

    Args:
      stages: step -> stage.
      quiet: show nothing.
    """
    tasks = {step: _task(stage) for step, stage in stages.items()}
    with (
        tempfile.TemporaryDirectory(prefix="floodrunner-") as folder,
        Display(tasks, io.StringIO()) if quiet else display.make(tasks) as show,
        contextlib.redirect_stdout(io.StringIO()) if quiet else contextlib.nullcontext(),
    ):
        yield Steps(Path(folder), show)


def checked(model: type[StageParams], params: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
    """Parses parameters of a stage as those of a pipeline. Raises InputError if one is unknown or wrong."""
    given = plain(params)
    try:
        parsed = model.parse(given)
        parsed.check_ports(inputs)
    except ValidationError as error:
        path, text = explain.problem(error, given, model, {})
        raise InputError(f"{explain.dotted(path)}: {text}" if path else text) from None
    except (TypeError, ValueError) as error:
        raise InputError(str(error)) from None
    return parsed


def load_keras() -> None:
    """Loads Keras with the settings with which stages run, or makes sure that it was loaded with them.

    `~/.keras/keras.json` may set another back end, float type or order of axes.

    Raises:
      InputError: if this process uses Keras with other settings.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "keras" not in sys.modules:
        with tempfile.TemporaryDirectory(prefix="floodrunner-") as empty:
            settings = keras_settings(Path(empty))
            former = {name: os.environ.get(name) for name in settings}
            os.environ.update(settings)
            try:
                importlib.import_module("keras")
            finally:
                os.environ.update({name: value for name, value in former.items() if value is not None})
                for name in (name for name, value in former.items() if value is None):
                    del os.environ[name]
    config = sys.modules["keras"].config
    found = (config.backend(), config.floatx(), config.image_data_format())
    if found[0] not in ("tensorflow", "jax") or found[1:] != ("float32", "channels_last"):
        raise InputError(
            f"Keras is loaded with backend {found[0]}, {found[1]}, {found[2]}; networks here need tensorflow or jax, "
            "float32, channels_last: import floodrunner and load a model before Keras, in a new Python process"
        )


def _task(stage: str) -> str:
    module = importlib.import_module(f"floodrunner.stages.{stage.replace('-', '_')}")
    return str(module.__doc__).strip().splitlines()[0]


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers of NumPy become Python's."""
    if isinstance(value, tuple | list):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", None) == 0 else value


def _value(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text or None
