"""Which builder the docker command has, and the command lines that build with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from floodrunner.runner.build import command
from floodrunner.runner.build.command import Builder
from floodrunner.runner.errors import UserError


def test_arguments() -> None:
    builder = Builder("BuildKit", ("docker", "build"), {})
    args, labels = {"BASE_IMAGE": "debian:x=y"}, {"b": "two words", "a": "1"}
    start = ("docker", "build", "--file", "/a b/Dockerfile.cpu", "--tag", "floodrunner:cpu-7")
    labelled = ("--label", "a=1", "--label", "b=two words")
    assert command.arguments(
        builder, "/a b", "/a b/Dockerfile.cpu", "floodrunner:cpu-7", args, labels, "host", True
    ) == (*start, "--network", "host", "--build-arg", "BASE_IMAGE=debian:x=y", *labelled, "/a b")
    assert command.arguments(builder, "/a b", "/a b/Dockerfile.cpu", "floodrunner:cpu-7", {}, {}, "default", False) == (
        *start,
        *("--network", "default", "--no-cache", "/a b"),
    )


@pytest.mark.parametrize(
    ("answers", "expected", "environment"),
    [
        (
            {"buildx": "github.com/docker/buildx v0.14", "--version": "Docker version 28.2.2, build e6534b4"},
            ("buildx", "build", "--builder", "default", "--load"),
            {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"},
        ),
        ({"--version": "Docker version 20.10.24+dfsg1, build 297e128"}, ("build",), {"DOCKER_BUILDKIT": "1"}),
        (
            {"--version": "Docker version 28.2.2, build e6534b4"},
            ("build", "--force-rm"),
            {"DOCKER_BUILDKIT": "0"},
        ),
        ({"--version": "Docker version 23.0.1, build a5ee5b1"}, ("build", "--force-rm"), {"DOCKER_BUILDKIT": "0"}),
        ({"--version": "podman version 4.3.1"}, ("build", "--force-rm"), {"DOCKER_BUILDKIT": "0"}),
        ({}, ("build", "--force-rm"), {"DOCKER_BUILDKIT": "0"}),
    ],
)
def test_which_builder(
    answers: dict[str, str],
    expected: tuple[str, ...],
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    docker = tmp_path / "docker"
    cases = "".join(f"{argument}) echo '{answer}';;\n" for argument, answer in answers.items())
    docker.write_text(f'#!/bin/sh\ncase "$1" in\n{cases}*) exit 1;;\nesac\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = command.builder()
    assert found.command == (str(docker), *expected)
    assert found.environment == environment


def test_no_docker_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError) as caught:
        command.builder()
    assert str(caught.value) == (
        "there is no docker command on PATH; install Docker's command line, which builds images"
    )
