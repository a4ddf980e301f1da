"""Where the engine is, and what is said of one in trouble: asked over a socket that answers as such an engine does."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from floodrunner.runner.engines import docker as docker_engine
from floodrunner.runner.engines.base import Job
from floodrunner.runner.engines.docker import client, disk, images
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions

VERSION = {"ApiVersion": "1.41", "Version": "20.10.24", "Os": "linux"}
HANGS = object()
CUT = object()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The engine is asked anew in each test, and this machine's settings for the docker command do not count."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    cached = (client.connect, client.quick, client.info, images.find)
    for each in cached:
        each.cache_clear()
    yield
    for each in cached:
        each.cache_clear()


class Engine:
    """Answers by path: a status and a value, or in no way at all."""

    def __init__(self, place: Path) -> None:
        self.address = f"unix://{place}"
        self.answers: dict[str, Any] = {"/version": (200, VERSION)}
        self.asked: list[str] = []
        self.over = threading.Event()
        engine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/v1.41")
                engine.asked.append(path)
                answer = engine.answers.get(path, (404, {"message": f"no such thing: {path}"}))
                if answer is HANGS:
                    engine.over.wait(60)
                elif answer is not CUT:
                    body = json.dumps(answer[1]).encode()
                    self.send_response(answer[0])
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                self.close_connection = True

            def address_string(self) -> str:
                return "a socket"

            def log_message(self, *_: Any) -> None: ...

        class Server(ThreadingMixIn, UnixStreamServer):
            daemon_threads = True

        self.server = Server(str(place), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine(tmp_path / "s")
    monkeypatch.setenv("DOCKER_HOST", made.address)
    yield made
    made.close()


def refusal(function: Callable[..., object], *arguments: Any) -> str:
    with pytest.raises(UserError) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Trouble


def test_an_engine_that_answers(engine: Engine) -> None:
    engine.answers["/info"] = (200, {"ServerVersion": "20.10.24"})
    assert client.info() == {"ServerVersion": "20.10.24"}
    assert client.connect().api.api_version == "1.41"
    assert engine.asked == ["/version", "/info"]
    assert client.image("floodrunner:cpu") is None
    assert client.connect().api.timeout > client.quick().api.timeout == 10


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/version", client.connect),
        ("/info", client.info),
        ("/images/floodrunner:cpu/json", lambda: client.image("floodrunner:cpu")),
    ],
)
def test_an_engine_in_trouble(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str, ask: Callable[[], object]
) -> None:
    """In the engine's own words, or the system's; one line, with what to do."""
    where = f"the Docker engine at {engine.address}"
    monkeypatch.setattr(client, "_ANSWERS_WITHIN_S", 0.2)

    def told(answer: object) -> str:
        client.quick.cache_clear()
        client.connect.cache_clear()
        client.info.cache_clear()
        engine.answers[path] = answer
        return refusal(ask)

    broken = (500, {"message": "layer  store\nis broken"})
    assert told(broken) == f"{where} reports an error: layer store is broken; restart Docker"
    assert told(HANGS) == f"{where} does not answer in time; restart Docker"
    assert told(CUT).startswith(f"{where} does not answer: ")
    assert told(CUT).endswith("; start Docker")


def test_steps_are_refused_by_an_engine_in_trouble(engine: Engine, tmp_path: Path) -> None:
    """No bug of ours, wherever it shows first."""
    engine.answers["/images/floodrunner:cpu/json"] = (500, {"message": "broken"})
    text = f"the Docker engine at {engine.address} reports an error: broken; restart Docker"
    assert refusal(images.find, "cpu") == text
    assert refusal(images.trouble, "cpu", tmp_path) == text
    assert refusal(client.has_security, "rootless").startswith(f"the Docker engine at {engine.address} reports an")
    job = Job("one", "look", {}, {}, {}, tmp_path / "one", StepOptions(), "", "")
    assert docker_engine.unavailable([job], tmp_path) == text
    engine.answers["/info"] = (500, {"message": "broken"})
    client.info.cache_clear()
    assert refusal(disk.room, ["cpu"]) == text


def test_an_engine_that_is_gone_is_told_of_without_pythons_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/s")
    assert refusal(client.connect) == (
        f"the Docker engine at unix://{tmp_path}/s does not answer: Connection refused; start Docker"
    )


def test_a_failure_is_remembered(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step asks; an engine that hangs costs its limit once in a process."""
    monkeypatch.setattr(client, "_ANSWERS_WITHIN_S", 0.2)
    engine.answers["/version"] = HANGS
    first = refusal(client.connect)
    begun = time.monotonic()
    for ask in (client.connect, client.info, client.quick):
        assert refusal(ask) == first
    assert refusal(images.find, "cpu") == refusal(images.find, "cpu") == first
    assert time.monotonic() - begun < 0.2
    assert engine.asked == ["/version"]
    client.connect.cache_clear()
    client.quick.cache_clear()
    engine.answers["/version"] = (200, VERSION)
    client.connect()


# Where it is


@pytest.mark.parametrize(
    "found",
    ["unix:///run/x.sock", "tcp://localhost:2375", "tcp://127.0.0.1:2375", "tcp://[::1]:2375", "http://localhost:2375"],
)
def test_addresses_of_this_machine(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", found)
    assert client.address() == found


@pytest.mark.parametrize("found", ["tcp://elsewhere:2375", "ssh://me@localhost", "tcp://[::2]:2375", "localhost:2375"])
def test_addresses_of_other_machines(monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    monkeypatch.setenv("DOCKER_HOST", found)
    assert refusal(client.address).startswith(f"the Docker engine at {found} is not on this machine and does not")


def test_what_is_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://[::1:2375")
    assert refusal(client.address) == "DOCKER_HOST is not a valid address (tcp://[::1:2375); correct or unset it"


def test_tls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "the Docker engine at {} requires TLS, which Floodrunner does not support; use the engine's socket: "
        "unset DOCKER_HOST (docker context use default)"
    )
    monkeypatch.setenv("DOCKER_HOST", "https://localhost:2376")
    assert refusal(client.address) == text.format("https://localhost:2376")
    monkeypatch.setenv("DOCKER_HOST", "tcp://localhost:2376")
    assert client.address() == "tcp://localhost:2376"
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    assert refusal(client.address) == text.format("tcp://localhost:2376")
    monkeypatch.setenv("DOCKER_HOST", "unix:///run/x.sock")  # the docker command has no TLS there either
    assert client.address() == "unix:///run/x.sock"


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`context("name", host)`: makes a context as the docker command does."""
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.json").write_text("{}")

    def make(name: str, host: str, tls: bool = False) -> None:
        number = hashlib.sha256(name.encode()).hexdigest()
        meta = folder / "contexts" / "meta" / number
        meta.mkdir(parents=True)
        endpoint = {"Host": host, "SkipTLSVerify": False}
        (meta / "meta.json").write_text(json.dumps({"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}))
        if tls:
            files = folder / "contexts" / "tls" / number / "docker"
            files.mkdir(parents=True)
            for file in ("ca", "cert", "key"):
                (files / f"{file}.pem").write_text("a secret")

    return make


def test_contexts(context: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context("desktop", "unix:///home/me/.docker/desktop.sock")
    context("safe", "tcp://localhost:2376", tls=True)
    monkeypatch.setenv("DOCKER_CONTEXT", "desktop")
    assert client.address() == "unix:///home/me/.docker/desktop.sock"
    monkeypatch.setenv("DOCKER_CONTEXT", "safe")
    assert refusal(client.address).startswith("the Docker engine at tcp://localhost:2376 requires TLS")
    monkeypatch.delenv("DOCKER_CONTEXT")
    (tmp_path / "config" / "config.json").write_text('{"currentContext": "desktop"}')
    assert client.address() == "unix:///home/me/.docker/desktop.sock"
    monkeypatch.setattr(client, "SOCKET", tmp_path)
    monkeypatch.setenv("DOCKER_CONTEXT", "default")
    assert client.address() == f"unix://{tmp_path}"


def test_a_context_that_is_not_there(
    context: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "there is no docker context 'gone'; run docker context ls to see all contexts, or run docker "
        "context use default and unset DOCKER_CONTEXT to choose this machine's engine"
    )
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    assert refusal(client.address) == text
    monkeypatch.delenv("DOCKER_CONTEXT")
    (tmp_path / "config" / "config.json").write_text('{"currentContext": "gone"}')
    assert refusal(client.connect) == text
    (tmp_path / "config" / "config.json").write_text("{")  # the docker command warns, and takes its default
    monkeypatch.setattr(client, "SOCKET", tmp_path)
    assert client.address() == f"unix://{tmp_path}"
