"""Tiny stages in a folder of their own, run by the command line as a process, or by the runner in this process."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from floodrunner.runner import cli
from floodrunner.runner.execution import run as running
from floodrunner.runner.execution.setting import Setting
from floodrunner.runner.pipeline import plan, registry, spec
from floodrunner.runner.pipeline.options import Options
from tests.conftest import THREADS
from tests.runner import in_process

REPOSITORY = Path(__file__).resolve().parents[2]

PIPELINE = """\
name: demo
inputs:
  texts: {path: texts}
steps:
  one: {stage: copy-text, in: {source: inputs.texts}}
  two: {stage: copy-text, in: {source: one.text}, params: {suffix: "!"}}
  three: {stage: slow, in: {source: two.text}}
"""

STAGES = {
    "copy_text": '''
        """Copy a text, with a number added."""
        import shutil
        from pathlib import Path

        from floodrunner.contract.stage import Context, InputError, StageParams

        INPUTS = {"source": "stack|statistics", "extra": "statistics?"}
        OUTPUTS = {"text": "statistics"}

        class Params(StageParams):
            suffix: str = ""
            """What to add."""
            upper: bool = False
            """Ignore what there is."""

        def run(params: Params, context: Context) -> None:
            from floodrunner.segmentation import helper

            source = Path(context.inputs["source"])
            files = sorted(source.iterdir()) if source.is_dir() else [source]
            if any(file.suffix == ".bad" for file in files):
                raise InputError(f"{source}: holds a .bad file; remove it")
            text = "".join(file.read_text() for file in files)
            context.progress(1, 2, "files")
            context.outputs["text"].write_text(helper.add("" if params.upper else text, params.suffix))
            picture = context.output_folder / "picture.txt"
            picture.write_text("a picture")
            context.artifact(picture, "a picture of the text")
            context.metric("length", len(text))
            context.metric("loss", 0.5, step=3)
            context.message("copied")
        ''',
    "slow": '''
        """Count to a number, slowly; goes on from its state."""
        import os
        import time
        from pathlib import Path

        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {"source": "statistics?"}
        OUTPUTS = {"count": "metrics"}

        class Params(StageParams):
            steps: int = 10
            """How far."""
            seconds: float = 0.0
            """For each."""
            ignore_stop: float = 0.0
            """Go on for so many seconds after a stop is asked for."""

        def run(params: Params, context: Context) -> None:
            state = context.state / "count"
            done = int(state.read_text()) if state.exists() else 0
            print("from", done, flush=True)
            (context.state / "pid").write_text(str(os.getpid()))

            def save() -> None:
                time.sleep(params.ignore_stop)
                state.write_text(str(done))

            with context.saves_on_stop():
                while done < params.steps:
                    context.stop_point(save)
                    time.sleep(params.seconds)
                    done += 1
                    context.progress(done, params.steps, "steps")
                    context.metric("loss", 1 / done, step=done)
            save()
            (context.state / "scratch").write_text("of use until all is published")
            context.spent(context.state / "scratch")
            context.outputs["count"].write_text(str(done))
        ''',
    "breaks": '''
        """Break in one of several ways."""
        import os
        import signal
        from typing import Literal

        from floodrunner.contract.stage import Context, InputError, StageError, StageParams

        INPUTS = {}
        OUTPUTS = {"nothing": "metrics"}

        class Params(StageParams):
            how: Literal["exit", "kill", "bug", "input", "fail", "no-output", "term", "clash", "not"] = "not"
            """Which way."""

        def run(params: Params, context: Context) -> None:
            print("about to break", flush=True)
            if params.how == "exit":
                os._exit(5)
            if params.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if params.how == "term":
                os.kill(os.getpid(), signal.SIGTERM)
            if params.how == "bug":
                raise KeyError("lost")
            if params.how == "input":
                raise InputError(f"section 3: is a text; remove it, or --force {context.step}")
            if params.how == "fail":
                raise StageError("the network diverged; lower the learning rate")
            if params.how != "no-output":
                context.outputs["nothing"].write_text("1")
            if params.how == "clash":
                (context.output_folder / "log.txt").write_text("mine")
        ''',
    "fill_disk": '''
        """Write much."""
        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {}
        OUTPUTS = {"much": "metrics"}

        class Params(StageParams):
            megabytes: int = 1
            """How much."""

        def run(params: Params, context: Context) -> None:
            with open(context.outputs["much"], "wb") as file:
                for _ in range(params.megabytes):
                    file.write(b"x" * 1_000_000)
        ''',
}

NO_ENGINE = "unix:///nowhere.sock"
"""Steps of these tests run as processes, also where there is an engine."""


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The error, which is one line and no traceback."""
        assert re.fullmatch(r"floodrunner: [^\n]+\n", self.err), self.err
        return self.err.removeprefix("floodrunner: ").rstrip("\n")


@dataclass
class House:
    """A code folder with tiny stages, and a folder to work in.

    Attributes:
      environment: variables that the command line gets besides those of all houses.
    """

    code: Path
    work: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def written(self) -> str:
        """The pipeline as it is now."""
        return (self.work / "p.yaml").read_text()

    def pipeline(self, text: str, name: str = "p.yaml") -> str:
        (self.work / name).write_text(textwrap.dedent(text))
        return name

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        environment = {**os.environ, "PYTHONPATH": str(self.code), "COLUMNS": "200", "DOCKER_HOST": NO_ENGINE}
        # Steps here compute with all processors, as those in containers do: how many there are shows in the last bits.
        for name in ("KERAS_BACKEND", *THREADS):
            environment.pop(name, None)
        return [sys.executable, "-P", "-m", "floodrunner", *arguments], {**environment, **self.environment}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command, environment = self.command(*arguments)
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, cwd=self.work, env=environment, stdout=pipe, stderr=pipe, text=True)
        self.started.append(process)
        return process

    def setting(self, *sets: str, workdir: str = "runs/demo", replace: bool = False, **options: Any) -> Setting:
        """What `run p.yaml --set ... --workdir ...` has to do, planned for the engine that runs in this process."""
        known = registry.scan(self.code / "stages")
        pipeline = spec.load(Path("p.yaml"))
        planned = plan.make(pipeline, known, Path(workdir), Options(sets=sets, **options))
        return Setting(
            pipeline, planned, "local", in_process, "", known.root, ["floodrunner", "run", "p.yaml"], replace
        )

    def run(self, *sets: str, workdir: str = "runs/demo", replace: bool = False, **options: Any) -> Ended:
        """`run p.yaml` in this process, and its end as the command line reports it; without the closing summary."""
        out, err = io.StringIO(), io.StringIO()

        def command() -> None:
            running.run(self.setting(*sets, workdir=workdir, replace=replace, **options))

        with (
            contextlib.chdir(self.work),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            mock.patch.dict(os.environ, DOCKER_HOST=NO_ENGINE),
        ):
            code = cli.reported(command)
        return Ended(code, out.getvalue(), err.getvalue())

    def __call__(self, *arguments: str, seconds: float = 60) -> Ended:
        """The command line, as a process."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=seconds)
        return Ended(process.returncode, out, err)


@pytest.fixture
def house(tmp_path: Path, done_once: Path) -> Iterator[House]:
    # A copy, with its times, of what Python has compiled before.
    shutil.copytree(done_once / "code", tmp_path / "code")
    (tmp_path / "work").mkdir()
    made = House(tmp_path / "code", tmp_path / "work")
    yield made
    for process in made.started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def demo(house: House) -> House:
    """A house with a pipeline of three steps and its input."""
    return furnish(house)


@pytest.fixture(scope="session")
def done_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("done")
    ended = furnish(build(folder))("run", "p.yaml")
    assert ended.code == 0, ended.err
    return folder


@pytest.fixture
def done(tmp_path: Path, done_once: Path) -> House:
    """A copy of a house in which that pipeline has run; as if it had run here, for a copied run folder is the data's of
    the original."""
    shutil.copytree(done_once, tmp_path, dirs_exist_ok=True)
    record = tmp_path / "work/runs/demo/run.json"
    times = record.stat()
    record.write_text(record.read_text().replace(str(done_once), str(tmp_path)))
    os.utime(record, ns=(times.st_atime_ns, times.st_mtime_ns))
    return House(tmp_path / "code", tmp_path / "work")


def furnish(house: House) -> House:
    (house.work / "texts").mkdir()
    (house.work / "texts" / "a.txt").write_text("hello ")
    (house.work / "texts" / "b.txt").write_text("world")
    house.pipeline(PIPELINE)
    return house


def build(folder: Path) -> House:
    code, work = folder / "code", folder / "work"
    (code / "stages").mkdir(parents=True)
    (code / "segmentation").mkdir()
    (code / "floodrunner").mkdir()
    work.mkdir()
    (code / "pyproject.toml").touch()
    shutil.copytree(REPOSITORY / "contract", code / "contract", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("__init__.py", "__main__.py"):
        shutil.copy(REPOSITORY / "stages" / name, code / "stages" / name)
    for name, text in STAGES.items():
        (code / "stages" / f"{name}.py").write_text(textwrap.dedent(text).lstrip())
    # `contract`, `stages` and `segmentation` from the house, `runner` from this checkout.
    places = f'[__file__.rpartition("/floodrunner/")[0], {str(REPOSITORY / "floodrunner")!r}]'
    (code / "floodrunner" / "__init__.py").write_text(f"__path__ = {places}\n")
    (code / "segmentation" / "__init__.py").write_text("")
    (code / "segmentation" / "helper.py").write_text("def add(text, suffix):\n    return text + suffix\n")
    return House(code, work)


@pytest.fixture
def wait_for() -> Callable[..., None]:
    def wait(condition: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            time.sleep(0.02)

    return wait
