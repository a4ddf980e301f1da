"""How a step's container is made, and which GPUs are asked for: without any engine."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

from floodrunner.runner import machine
from floodrunner.runner.build import image
from floodrunner.runner.engines import docker as docker_engine
from floodrunner.runner.engines import local
from floodrunner.runner.engines.base import Job
from floodrunner.runner.engines.docker import client as docker_api
from floodrunner.runner.engines.docker import containers, images, limits
from floodrunner.runner.errors import UserError
from floodrunner.runner.step_options import StepOptions


@pytest.fixture
def job(tmp_path: Path) -> Job:
    stack = tmp_path / "stack, 1=2"
    stack.mkdir()
    folder = tmp_path / "runs" / "demo run" / "one"
    folder.mkdir(parents=True)
    return Job("one", "look", {}, {"stack": str(stack)}, {}, folder, StepOptions(), "program", "fingerprint")


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the engine says of itself; tests change it."""
    said: dict[str, Any] = {"SecurityOptions": ["name=seccomp,profile=default"], "Runtimes": {"runc": {}}}
    monkeypatch.setattr(docker_api, "info", lambda: said)
    monkeypatch.setattr(docker_api.shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA H100"])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return said


def test_a_container_has_no_more_than_it_needs(job: Job, engine: dict[str, Any]) -> None:
    found = docker_engine.settings(job, gpu=False)
    assert found["user"] == f"{os.getuid()}:{os.getgid()}"
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["network_mode"] == "none"
    assert found["tmpfs"] == {"/tmp": ""}
    assert (found["device_requests"], found["userns_mode"]) == (None, None)
    assert found["init"] is True
    assert "auto_remove" not in found
    stack = job.inputs["stack"]
    bound = [(mount["Target"], mount["Source"], mount["Type"], mount["ReadOnly"]) for mount in found["mounts"]]
    own = str(job.folder)
    assert bound == [(stack, stack, "bind", True), (own, own, "bind", False)]
    assert found["environment"]["HOME"] == "/tmp"
    assert not {"PATH", "SHELL", "LD_LIBRARY_PATH"} & set(found["environment"])


def test_labels_and_name(job: Job, engine: dict[str, Any]) -> None:
    (job.folder / "log.txt").write_text("five\n")
    found = docker_engine.settings(job, gpu=False)
    assert found["labels"] == {
        "org.floodrunner.run": str(job.folder.parent.resolve()),
        "org.floodrunner.step": "one",
        "org.floodrunner.fingerprint": "fingerprint",
        "org.floodrunner.log-start": "5",
    }
    assert found["name"].startswith("floodrunner-demo-run-one-")
    assert docker_engine.settings(job, gpu=False)["name"] != found["name"]  # two at a time, of two run folders


def test_a_rootless_engine(job: Job, engine: dict[str, Any]) -> None:
    """Root inside is the caller outside; any other user inside is nobody outside."""
    engine["SecurityOptions"].append("name=rootless")
    found = docker_engine.settings(job, gpu=False)
    assert (found["user"], found["group_add"]) == ("0:0", [])


def test_an_engine_that_maps_users(job: Job, engine: dict[str, Any]) -> None:
    engine["SecurityOptions"].append("name=userns")
    assert docker_engine.settings(job, gpu=False)["userns_mode"] == "host"


def test_an_engine_with_selinux(job: Job, engine: dict[str, Any]) -> None:
    engine["SecurityOptions"].append("name=selinux")
    assert docker_engine.settings(job, gpu=False)["security_opt"] == ["no-new-privileges:true", "label=disable"]


def test_no_gpu_without_means(engine: dict[str, Any]) -> None:
    assert docker_api.gpu_request() is None


def test_a_gpu_by_the_container_toolkits_runtime(
    job: Job, engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine["Runtimes"]["nvidia"] = {"path": "nvidia-container-runtime"}
    engine["DiscoveredDevices"] = [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]  # the runtime is preferred
    (request,) = docker_engine.settings(job, gpu=True)["device_requests"]
    assert (request["Driver"], request["Count"], request["Capabilities"]) == ("", -1, [["gpu"]])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-3a")  # CUDA's order is not the toolkit's: CUDA is to choose
    (request,) = docker_engine.settings(job, gpu=True)["device_requests"]
    assert (request["Count"], request["DeviceIDs"], request["Capabilities"]) == (-1, [], [["gpu"]])
    assert docker_engine.settings(job, gpu=False)["device_requests"] is None


def test_a_gpu_by_the_toolkits_hook(engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api.shutil, "which", lambda name: f"/usr/bin/{name}" if "hook" in name else None)
    request = docker_api.gpu_request()
    assert request is not None
    assert (request["Driver"], request["Count"]) == ("", -1)


def test_a_gpu_that_is_not_there_or_hidden_is_not_asked_for(
    engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker Desktop has the runtime, and engines CDI files, on a machine without a card as well."""
    engine["Runtimes"]["nvidia"] = {}
    engine["DiscoveredDevices"] = [{"Source": "cdi", "ID": "nvidia.com/gpu=all"}]
    assert docker_api.gpu_request() is not None
    monkeypatch.setattr(machine, "gpus", list)
    assert docker_api.gpu_request() is None
    assert docker_engine._kind(True) == images.CPU
    assert image.choose(False, False, None) == ({"cpu": {}}, [])


def test_a_gpu_by_cdi(engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    engine["DiscoveredDevices"] = [{"Source": "cdi", "ID": f"nvidia.com/gpu={name}"} for name in ("0", "1", "all")]
    request = docker_api.gpu_request()
    assert request is not None
    assert (request["Driver"], request["DeviceIDs"]) == ("cdi", ["nvidia.com/gpu=all"])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert docker_api.gpu_request() == request


def test_a_gpu_by_cdi_of_an_engine_that_names_only_folders(
    engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(docker_api, "_CDI_FOLDERS", (tmp_path,))
    engine["CDISpecDirs"] = [str(tmp_path), "/elsewhere"]
    assert docker_api.gpu_request() is None
    (tmp_path / "nvidia.yaml").write_text("cdiVersion: 0.5.0\n")
    request = docker_api.gpu_request()
    assert request is not None
    assert request["Driver"] == "cdi"


@pytest.mark.parametrize("means", [True, False])
def test_which_image_a_step_runs_in(engine: dict[str, Any], means: bool) -> None:
    if means:
        engine["Runtimes"]["nvidia"] = {}
    assert docker_engine._kind(True) == (images.GPU if means else images.CPU)
    assert docker_engine._kind(False) == images.CPU


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(machine, "gpus", lambda: found)
    return found


def test_why_a_step_gets_no_gpu(engine: dict[str, Any], gpus: list[str]) -> None:
    assert docker_engine.no_gpu() == local.no_gpu() == "no GPU found"
    gpus.append("NVIDIA H100")
    assert docker_engine.no_gpu() == "no GPU for containers"
    engine["Runtimes"]["nvidia"] = {}
    assert docker_engine.no_gpu() == ""


KILLED = "killed from outside (docker kill, docker stop, or no memory left); run again"


@pytest.mark.parametrize(
    ("state", "code", "cause"),
    [
        ({"ExitCode": 0}, 0, ""),
        ({"ExitCode": 3}, 3, ""),
        ({"ExitCode": 130}, 130, ""),
        (
            {"ExitCode": 137},
            137,
            "killed from outside (docker kill, docker stop, or no memory left); run again",
        ),
        (
            {"ExitCode": 137, "OOMKilled": True},
            137,
            "out of memory: it may use 4.0 GB; set memory_gb of the step higher (there are 16.0 GB), or try a smaller "
            "box_xyz or fewer sections, or a machine with more memory",
        ),
        ({"ExitCode": 139}, 139, "killed by SIGSEGV (a fault in a library)"),
        (
            {"ExitCode": 127, "Error": "no such file"},
            127,
            "the Docker engine could not run the container: no such file",
        ),
    ],
)
def test_how_a_container_can_end(engine: dict[str, Any], state: dict[str, Any], code: int, cause: str) -> None:
    engine["MemTotal"] = 16_000_000_000
    assert containers._exit(state, 4_000_000_000) == (code, cause)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (14_400_000_000, "it may use 14.4 GB; set memory_gb of the step higher (there are 16.0 GB), or try a smaller"),
        (16_000_000_000, "it may use 16.0 GB; try a smaller"),
        (40_000_000_000, "it may use 40.0 GB; try a smaller"),
        (0, "try a smaller"),
    ],
)
def test_what_to_do_without_enough_memory(engine: dict[str, Any], limit: int, text: str) -> None:
    """Nobody is told to raise a limit that is all there is."""
    engine["MemTotal"] = 16_000_000_000
    assert limits.out_of_memory(limit).startswith(f"out of memory: {text} box_xyz or fewer sections, or a machine")


ABLE = {"MemoryLimit": True, "SwapLimit": True, "PidsLimit": True, "MemTotal": 16_000_000_000, "NCPU": 8}


def test_a_step_may_use_a_share_of_the_machine(job: Job, engine: dict[str, Any]) -> None:
    engine |= ABLE
    found = docker_engine.settings(job, gpu=False)
    assert found["mem_limit"] == found["memswap_limit"] == 14_400_000_000
    assert found["pids_limit"] == 1024 + 8 * 64
    assert found["shm_size"] == 7_200_000_000
    assert found["tmpfs"] == {"/tmp": "size=7200000000"}
    assert docker_engine.notes(job) == []
    assert limits.by_default() == "a step may use 14.4 GB and 1536 processes"


def test_a_pipeline_sets_what_a_step_may_use(job: Job, engine: dict[str, Any]) -> None:
    engine |= ABLE
    wants = dataclasses.replace(job, options=StepOptions(memory_gb=0.5, processes=100))
    found = docker_engine.settings(wants, gpu=False)
    assert found["mem_limit"] == found["memswap_limit"] == 500_000_000
    assert found["pids_limit"] == 100
    assert docker_engine.notes(wants) == []


def test_a_limit_above_the_machines_memory_lets_a_step_use_swap(job: Job, engine: dict[str, Any]) -> None:
    """As steps could before there were limits: such a machine trains slowly, but it trains."""
    engine |= ABLE
    wants = dataclasses.replace(job, options=StepOptions(memory_gb=40))
    found = docker_engine.settings(wants, gpu=False)
    assert (found["mem_limit"], found["memswap_limit"]) == (16_000_000_000, 40_000_000_000)
    assert found["shm_size"] == 8_000_000_000
    wants = dataclasses.replace(job, options=StepOptions(memory_gb=15.5))  # between the default and all there is
    found = docker_engine.settings(wants, gpu=False)
    assert found["mem_limit"] == found["memswap_limit"] == 15_500_000_000


def test_an_engine_that_cannot_limit_is_not_asked_to(job: Job, engine: dict[str, Any]) -> None:
    """A rootless engine on a system with cgroups of version 1. Nobody hears of it who has set no limit."""
    engine |= {"MemoryLimit": False, "SwapLimit": False, "PidsLimit": False, "MemTotal": 16_000_000_000}
    found = docker_engine.settings(job, gpu=False)
    assert not {"mem_limit", "memswap_limit", "pids_limit", "shm_size"} & set(found)
    assert docker_engine.notes(job) == []
    wants = dataclasses.replace(job, options=StepOptions(memory_gb=8, processes=100))
    assert docker_engine.notes(wants) == [
        "one: this Docker engine cannot limit what a step uses, and ignores memory_gb and processes"
    ]
    engine |= {"MemoryLimit": True}
    assert "memswap_limit" not in docker_engine.settings(wants, gpu=False)  # without swap accounting
    assert limits.by_default() == "a step may use 14.4 GB and any number of processes"


def test_an_engine_whose_socket_is_gone_ends_the_wait(
    job: Job, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nobody says where it was any more: the runner must not wait for ever."""
    from requests.exceptions import ConnectionError

    class Gone:
        name, id = "gone", "1"
        labels = {containers.LOG_START: "0"}  # noqa: RUF012
        client = property(lambda self: self)
        api = client
        removed = False

        def wait(self, *_: object, **__: object) -> None:
            raise ConnectionError("nobody there")

        reload = logs = wait

        def remove(self, **_: object) -> None:
            self.removed = True

    (job.folder / "log.txt").touch()
    monkeypatch.setattr(containers, "_ENGINE_COMES_BACK_S", 0.1)
    monkeypatch.setattr(docker_api, "address", lambda: "unix:///was/here")
    gone = Gone()
    running = containers.Running(gone, job.folder)

    def nowhere() -> str:
        raise UserError("no Docker engine")

    monkeypatch.setattr(docker_api, "address", nowhere)
    ended = running.wait(20)
    assert ended == (1, "the Docker engine at unix:///was/here is gone; start the engine and run again")
    running.close()
    assert not gone.removed  # it may still be at work
    assert "Traceback" not in capfd.readouterr().err


def test_a_pipe_in_the_place_of_a_containers_lock_is_not_waited_for(job: Job) -> None:
    containers.check_lock(job.folder)
    os.mkfifo(job.folder / containers.LOCK_FILE)
    with pytest.raises(UserError, match=r"\.container: is a named pipe, not a file that Floodrunner made; remove the"):
        containers.check_lock(job.folder)


def test_whether_hdf5_locks_files_is_the_users_choice(
    job: Job, engine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "HDF5_USE_FILE_LOCKING" not in docker_engine.settings(job, gpu=False)["environment"]
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
    assert docker_engine.settings(job, gpu=False)["environment"]["HDF5_USE_FILE_LOCKING"] == "FALSE"
