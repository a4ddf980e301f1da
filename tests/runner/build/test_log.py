"""What builders say while they build, and what the user reads of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from runner.build import buildkit, image
from runner.build import log as build_log
from runner.build.buildkit import Said
from runner.build.log import BuildLog
from runner.engines.docker import client
from runner.errors import Interrupted, StepFailed, UserError

# What builders say: as Docker 20.10 has said it, colours and all


CLASSIC = [
    {"stream": "Step 1/4 : FROM debian"},
    {"stream": "\n"},
    {"status": "Downloading", "progressDetail": {}, "progress": "[=>  ] 1MB/30MB", "id": "1a2b"},
    {"stream": " ---> 8ebe107f4110\n"},
    {"stream": "Step 2/4 : RUN apt-get   update"},
    {"stream": "\n"},
    {"stream": " ---> Using cache\n"},
    {"stream": " ---> e0c1335418e5\n"},
    {"stream": "Step 3/4 : RUN echo hello; exit 3"},
    {"stream": "\n"},
    {"stream": " ---> Running in 5341b52cc1b4\n"},
    {"stream": "hel"},
    {"stream": "lo\n 10%\r 99%\n"},
    {"stream": "\u001b[91mE: bad\nunfinished\u001b[0m"},
]
FAILED = {"errorDetail": {"code": 3, "message": "The command '/bin/sh -c x' returned a non-zero code: 3"}, "error": "x"}
STEP = "3/4 RUN echo hello; exit 3"


def test_classic_builder() -> None:
    assert list(buildkit.read_classic([*CLASSIC, FAILED])) == [
        Said("step", "1/4 FROM debian", ""),
        Said("output", "1/4 FROM debian", "1a2b Downloading [=>  ] 1MB/30MB"),
        Said("image", "1/4 FROM debian", "8ebe107f4110"),
        Said("step", "2/4 RUN apt-get   update", ""),
        Said("cached", "2/4 RUN apt-get   update", ""),
        Said("image", "2/4 RUN apt-get   update", "e0c1335418e5"),
        Said("step", STEP, ""),
        Said("runs", STEP, " ---> Running in 5341b52cc1b4"),
        Said("output", STEP, "hello"),
        Said("output", STEP, " 99%"),
        Said("output", STEP, "E: bad"),
        Said("output", STEP, "unfinished"),
        Said("error", STEP, "The command '/bin/sh -c x' returned a non-zero code: 3", 3),
    ]


BUILDKIT = """\
#1 [internal] load build definition from Dockerfile.f
#1 sha256:389efb09e8bd4acd0b89002ae3fee33214a75763ed8f9306359ab206d3eae768
#1 transferring dockerfile: 102B done
#1 DONE 0.0s

#4 [environment 1/2] FROM docker.io/library/debian:bookworm-slim
#4 CACHED

#5 [2/2] RUN echo hello; exit 3
#5 0.240 hello
#6 [other 2/2] RUN sleep 1
#6 ...

#5 [2/2] RUN echo hello; exit 3
#5 0.245 E: bad
#5 ERROR: {error}
------
 > [2/2] RUN echo hello; exit 3:
------
"""


@pytest.mark.parametrize(
    "error",
    [
        "executor failed running [/bin/sh -c echo hello; exit 3]: exit code: 3",
        'process "/bin/sh -c echo hello; exit 3" did not complete successfully: exit code: 3',
    ],
)
def test_buildkit(error: str) -> None:
    said = list(buildkit.read_buildkit(BUILDKIT.replace("{error}", error).splitlines(keepends=True)))
    step = "2/2 RUN echo hello; exit 3"
    assert [each for each in said if each.what != "other"] == [
        Said("step", "1/2 FROM docker.io/library/debian:bookworm-slim", ""),
        Said("cached", "1/2 FROM docker.io/library/debian:bookworm-slim", ""),
        Said("step", step, ""),
        Said("output", step, "hello"),
        Said("step", "2/2 RUN sleep 1", ""),
        Said("output", step, "E: bad"),
        Said("error", step, error, 3),
    ]


# What the user reads


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildLog:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(client, "info", lambda: {"DockerRootDir": "/var/lib/docker"})
    return BuildLog("floodrunner:cpu", io.StringIO())


def shown(log: BuildLog) -> list[str]:
    assert isinstance(log._stream, io.StringIO)
    return log._stream.getvalue().splitlines()


def test_plain_lines_are_few(log: BuildLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line for what came from the cache or is done at once; in a long step one in a while."""
    now = [1000.0]
    monkeypatch.setattr(build_log.time, "monotonic", lambda: now[0])
    log._started = log._spoken = now[0]
    with log:
        for step in ("1/5 FROM debian", "2/5 COPY a b"):
            log.take(Said("step", step, ""))
            log.take(Said("cached", step, ""))
        log.take(Said("step", "3/5 RUN pip install", ""))
        for number in range(100):
            now[0] += 1
            log.take(Said("output", "3/5 RUN pip install", f"package {number}"))
        log.take(Said("step", "4/5 LABEL a=b", ""))
        log.take(Said("step", "5/5 COPY c d", ""))
        log.take(Said("image", "5/5 COPY c d", "123456123456"))
        assert log.path.read_text().count("package") == 100
    assert shown(log)[:2] == ["floodrunner:cpu: step 3/5 RUN pip install", "floodrunner:cpu: 16 s: package 15"]
    assert shown(log)[-2:] == ["floodrunner:cpu: 1:31 min: package 90", "floodrunner:cpu: step 5/5 COPY c d"]
    assert len(shown(log)) == 1 + 6 + 1
    assert (log.steps, log.cached, log.images) == (5, 2, ["123456123456"])
    assert not log.path.exists()


@pytest.mark.parametrize(("error", "kept"), [(StepFailed(1, ""), True), (UserError(""), False), (Interrupted(), False)])
def test_the_whole_log_is_kept_for_a_failure(log: BuildLog, error: BaseException, kept: bool) -> None:
    def fail() -> None:
        with log:
            log.take(Said("output", "1/1 RUN", "found"))
            raise error

    with pytest.raises(type(error)):
        fail()
    assert log.path.exists() == kept
    assert not kept or log.path.read_text() == "[1/1 RUN] found\n"


def failure(log: BuildLog, *said: Said) -> tuple[type[Exception], str]:
    for each in said:
        log.take(each)
    assert log.failure is not None
    error = image._failure(log.failure, "Dockerfile.cpu", "debian:12", log)
    assert "\n" not in str(error)
    return type(error), str(error).replace(str(log.path), "LOG")


def test_a_step_that_fails(log: BuildLog) -> None:
    """The last line that says something, of that step; of other steps that BuildKit ran beside it, none."""
    step = f"3/4 RUN {'long ' * 100}"
    assert failure(
        log,
        Said("output", step, "E: no such package"),
        Said("output", step, "[notice] A new release of pip is available"),
        Said("output", "2/2 RUN other", "fine"),
        Said("error", step, "failed", 100),
        Said("error", "2/2 RUN other", "cancelled", 137),
    ) == (
        StepFailed,
        f"Dockerfile.cpu, step 3/4 RUN {'long ' * 13}long...: failed with exit code 100: E: no such package; "
        "the whole log is in LOG",
    )


def test_a_step_that_fails_in_silence(log: BuildLog) -> None:
    kind, text = failure(log, Said("error", "3/4 RUN false", "failed", 1))
    assert text == (
        "Dockerfile.cpu, step 3/4 RUN false: failed with exit code 1: it wrote nothing; the whole log is in LOG"
    )
    assert kind is StepFailed


def test_a_full_disk_comes_before_its_consequences(log: BuildLog) -> None:
    step = "3/4 RUN pip install"
    kind, text = failure(
        log,
        Said("output", step, "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"),
        Said("output", step, "ERROR: something else"),
        Said("error", step, "failed", 1),
    )
    assert text == (
        "floodrunner:cpu: the engine's disk is full (/var/lib/docker); make room there and build again; "
        "the whole log is in LOG"
    )
    assert kind is StepFailed


@pytest.mark.parametrize("step", ["2/4 FROM ${BASE_IMAGE} AS environment", "[internal] load metadata for debian:12"])
def test_no_base_image(log: BuildLog, step: str) -> None:
    kind, text = failure(log, Said("error", step, "no such host"))
    assert text == (
        "Dockerfile.cpu: the base image debian:12 is neither here nor can it be pulled (no such host); "
        "--base-image NAME builds on another"
    )
    assert kind is UserError
