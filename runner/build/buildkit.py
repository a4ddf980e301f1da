"""Has an image built, by BuildKit or by the engine's classic builder; what they say comes back in one form."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from docker import APIClient

CLASSIC = "the engine's classic builder"
_COMMAND_WITH_BUILDKIT_INSIDE = 23  # from this version on the docker command leaves BuildKit to buildx
_LEAVE_S = 2.0  # docker 20.10 does not leave; once it is gone the engine ends the build just as well
_MTIME = 315532800  # 1980: times do not count, in the builders' caches neither
_PREFIXES = re.compile(r"^(ERROR: )?(failed to build: )?(failed to solve[^:]*: )?(failed to create LLB definition: )?")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Said(NamedTuple):
    """What a builder said.

    Attributes:
      what: a `step` begins; it is `cached`, or `runs`; it leaves an `image`; a line of `output`; an `error`; `other`.
      step: what it belongs to, as `3/8 RUN pip install ...`; "" for none.
      text: a line, or the id of an image.
      code: the exit code of a command that failed; 0 where none is known.
    """

    what: str
    step: str
    text: str
    code: int = 0


@dataclass(frozen=True)
class Order:
    """What is to be built: `dockerfile` is a path inside the context, `network` as `docker build --network` has it."""

    tag: str
    dockerfile: str
    args: Mapping[str, str]
    labels: Mapping[str, str]
    network: str
    cache: bool


class CannotBuild(Exception):
    """The builder refused, or ended, without saying what is wrong with a step."""


def context(root: Path, dockerfile: str) -> bytes:
    """What the builders get to see, as a tar archive: all that .dockerignore lets through.

    The same source gives the same bytes: whose it is, when it was checked out and the umask do not count, so they
    neither defeat a cache nor leave files that only their owner can read.

    Raises:
      OSError: if a file cannot be read.
    """
    from docker.utils import exclude_paths

    ignore = root / ".dockerignore"
    lines = [line.strip() for line in ignore.read_text().splitlines()] if ignore.exists() else []
    patterns = [line for line in lines if line and not line.startswith("#")]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in sorted(exclude_paths(str(root), patterns, dockerfile=dockerfile)):
            path = root / name
            entry = tar.gettarinfo(path, arcname=name)
            if entry is None:  # a socket
                continue
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = _MTIME
            entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
            if entry.isreg():
                content = path.read_bytes()
                entry.size = len(content)  # it may have grown since
                tar.addfile(entry, io.BytesIO(content))
            else:
                tar.addfile(entry)
    return archive.getvalue()


def buildkit_command() -> tuple[str, ...]:
    """What starts a build with BuildKit here, up to its options; () where the machine has no BuildKit."""
    docker = shutil.which("docker")
    if docker is None:
        return ()
    if _answer(docker, "buildx", "version") is not None:
        # "default" is the engine itself; another builder would see neither its images nor its cache.
        return (docker, "buildx", "build", "--builder", "default", "--load")
    version = re.match(r"Docker version (\d+)\.", _answer(docker, "--version") or "")
    return (docker, "build") if version and int(version[1]) < _COMMAND_WITH_BUILDKIT_INSIDE else ()


def _answer(*command: str) -> str | None:
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=15, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return ended.stdout


def arguments(command: tuple[str, ...], order: Order) -> tuple[str, ...]:
    """The whole command line of a build whose context comes in through standard input."""
    options = ["--progress", "plain", "--file", order.dockerfile, "--tag", order.tag, "--network", order.network]
    for name, value in sorted(order.args.items()):
        options += ["--build-arg", f"{name}={value}"]
    for name, value in sorted(order.labels.items()):
        options += ["--label", f"{name}={value}"]
    return (*command, *options, *(() if order.cache else ("--no-cache",)), "-")


def buildkit(command: tuple[str, ...], address: str, order: Order, archive: bytes) -> Generator[Said, None, None]:
    """Builds with BuildKit. Closing the iterator ends the build.

    Raises:
      CannotBuild: if it ends without an image.
    """
    environment = {**os.environ, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "1", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        process = subprocess.Popen(
            arguments(command, order),
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is ours to pass on
        )
    assert process.stdout is not None
    last = ""
    try:
        for said in read_buildkit(process.stdout):
            if said.text and not last.startswith("ERROR: "):  # behind it come hints
                last = said.text
            yield said
        if process.wait():
            raise CannotBuild(_PREFIXES.sub("", last))
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=_LEAVE_S)
    if process.poll() is None:
        process.kill()
        process.wait()
    process.stdout.close()


def read_buildkit(lines: Iterable[str]) -> Iterator[Said]:
    """Reads what `--progress plain` writes: each line begins with the number of what it is about, `#5`."""
    steps: dict[str, str] = {}
    for raw in lines:
        line = plain(raw)
        found = re.fullmatch(r"#(\d+) (.*)", line)
        if not found:
            yield Said("other", "", line)
            continue
        number, rest = found.groups()
        step = steps.get(number, "")
        if title := re.fullmatch(r"\[(?:.* )?(\d+/\d+)\] (.*)", rest):
            # Printed again whenever the output of another one came between.
            if number not in steps:
                steps[number] = f"{title[1]} {title[2]}"
                yield Said("step", steps[number], "")
        elif number not in steps:
            steps[number] = rest  # `[internal] load build context`, `exporting to image`
            yield Said("other", rest, line)
        elif rest == "CACHED":
            yield Said("cached", step, "")
        elif error := re.fullmatch(r"ERROR:? (.*)", rest):
            code = re.search(r"exit code: (\d+)$", error[1])
            yield Said("error", step, error[1], int(code[1]) if code else 0)
        elif output := re.fullmatch(r"\d+\.\d+ (.*)", rest):
            yield Said("output", step, output[1])
        else:
            yield Said("other", step, line)


def classic(client: APIClient, order: Order, archive: bytes) -> Generator[Said, None, None]:
    """Builds with the engine's classic builder, which ends, its container with it, when this process does.

    Raises:
      CannotBuild: if the engine refuses, or goes away.
    """
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException
    from urllib3.exceptions import HTTPError

    try:
        events = client.build(
            fileobj=io.BytesIO(archive),
            custom_context=True,
            dockerfile=order.dockerfile,
            tag=order.tag,
            buildargs=dict(order.args),
            labels=dict(order.labels),
            network_mode=order.network,
            nocache=not order.cache,
            rm=True,
            forcerm=True,
            decode=True,
        )
        yield from read_classic(events)
    except APIError as error:
        raise CannotBuild(str(error.explanation or error)) from None
    except (DockerException, RequestException, HTTPError, OSError) as error:
        raise CannotBuild(f"the engine went away: {error}") from None


def read_classic(events: Iterable[Mapping[str, Any]]) -> Iterator[Said]:
    """Reads the events of the engine's classic builder."""
    step, rest = "", ""
    for event in events:
        if "error" in event:
            if plain(rest):
                yield Said("output", step, plain(rest))
            detail = event.get("errorDetail") or {}
            yield Said("error", step, plain(detail.get("message") or event["error"]), detail.get("code") or 0)
        elif "status" in event:  # of a base image that is being pulled
            parts = [str(event[key]) for key in ("id", "status", "progress") if event.get(key)]
            yield Said("output", step, " ".join(parts))
        *lines, rest = (rest + event.get("stream", "")).split("\n")
        for raw in lines:
            line = plain(raw)
            if begins := re.fullmatch(r"Step (\d+/\d+) : (.*)", line):
                step = f"{begins[1]} {begins[2]}"
                yield Said("step", step, "")
            elif line == " ---> Using cache":
                yield Said("cached", step, "")
            elif line.startswith(" ---> Running in "):
                yield Said("runs", step, line)
            elif image := re.fullmatch(r" ---> ([0-9a-f]{12})", line):
                yield Said("image", step, image[1])
            elif re.match(r"Removing intermediate container|Successfully (built|tagged) ", line):
                yield Said("other", step, line)
            elif line.strip():
                yield Said("output", step, line)


def plain(line: str) -> str:
    """A line without colours, and of what was written over (progress bars) only the last."""
    return _ESCAPES.sub("", line).rstrip().rpartition("\r")[2]
