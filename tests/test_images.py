"""What the images are made of, read from their files: no engine is needed. Building them is tested in tests/docker."""

from __future__ import annotations

import ctypes.util
import importlib.util
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from docker.utils import exclude_paths
from packaging.requirements import Requirement
from packaging.version import Version

from floodrunner.runner.engines.docker import images
from floodrunner.runner.fingerprint.code import PACKAGES

ROOT = Path(__file__).resolve().parents[1]
DOCKERFILES = ("Dockerfile.cpu", "Dockerfile.gpu")
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
OF_IMAGES = ("cpu", "gpu", "gpu-jax")


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, its text on one line), comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line.strip())]


def texts(name: str, word: str) -> list[str]:
    return [rest for found, rest in instructions(name) if found == word]


def locked(name: str) -> dict[str, list[Requirement]]:
    """Package -> its lines in a lock file, one for each range of Python versions that it differs in."""
    text = (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
    found: dict[str, list[Requirement]] = {}
    for line in re.findall(r"^([a-z][^\\\n]*?) *\\$", text, re.MULTILINE):
        requirement = Requirement(line)
        found.setdefault(requirement.name, []).append(requirement)
    return found


def version(requirement: Requirement) -> Version:
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return Version(pin.version)


def project() -> tuple[list[Requirement], dict[str, list[Requirement]]]:
    """pyproject's dependencies, and those of its extras, with those of the extras that these name."""
    table = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def all_of(extra: str) -> list[Requirement]:
        found = map(Requirement, table["optional-dependencies"][extra])
        return [
            each
            for r in found
            for each in ([r] if r.name != table["name"] else [x for e in r.extras for x in all_of(e)])
        ]

    return [Requirement(line) for line in table["dependencies"]], {
        extra: all_of(extra) for extra in table["optional-dependencies"]
    }


def test_both_start_from_the_same_base_pinned_by_its_digest() -> None:
    bases = {texts(name, "ARG")[0] for name in DOCKERFILES}
    assert len(bases) == 1
    assert re.fullmatch(r"BASE_IMAGE=debian:bookworm-slim@sha256:[0-9a-f]{64}", bases.pop())
    for name in DOCKERFILES:
        assert instructions(name)[0][0] == "ARG"
        first, *others = texts(name, "FROM")
        assert first == "${BASE_IMAGE} AS environment"
        assert all(text.split()[0] == "environment" for text in others)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_nothing_is_written_that_the_classic_builder_does_not_know(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "syntax=" not in text
    assert "<<" not in text
    known = {"ARG", "FROM", "RUN", "COPY", "ENV", "USER", "ENTRYPOINT", "LABEL"}
    assert {word for word, _ in instructions(name)} <= known
    assert not [rest for rest in texts(name, "RUN") if rest.startswith("-")]
    assert not [rest for rest in texts(name, "COPY") if re.search(r"--(?!from=source )", rest)]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_all_that_pip_installs_is_checked_against_its_hash(name: str) -> None:
    installs = [
        part for rest in texts(name, "RUN") for part in rest.split("&&") if re.search(r"\bpip\S* install\b", part)
    ]
    assert len(installs) == 1
    assert "--require-hashes -r ../requirements" in installs[0]
    assert "--only-binary :all:" in installs[0]  # nothing that a package brings runs while it is installed


@pytest.mark.parametrize("name", DOCKERFILES)
def test_the_source_makes_the_last_layers_and_only_those(name: str) -> None:
    last = [rest for word, rest in instructions(name) if word in ("RUN", "COPY", "ADD")][-len(PACKAGES) :]
    ours = [f"floodrunner/{package}" for package in PACKAGES]
    assert last == [f"--from=source /source/{folder} /usr/local/lib/floodrunner/{folder}" for folder in ours]
    words = [word for word, _ in instructions(name)]
    assert words[words.index("LABEL") :] == ["LABEL"]  # what changes no layer


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_fixed_user_who_is_not_root_and_the_stages_to_run(name: str) -> None:
    assert texts(name, "USER") == ["floodrunner"]
    assert any(re.search(r"useradd --uid [1-9]\d* .*floodrunner", rest) for rest in texts(name, "RUN"))
    assert texts(name, "ENTRYPOINT") == [
        '["/usr/local/lib/floodrunner/venv/bin/python", "-P", "-m", "floodrunner.stages"]'
    ]
    for label in ("title", "description", "licenses"):
        assert f"org.opencontainers.image.{label}=" in texts(name, "LABEL")[0]


def test_what_both_files_do_they_do_alike() -> None:
    cpu, gpu = (instructions(name) for name in DOCKERFILES)
    assert cpu[:3] == gpu[:3]  # base, system packages, user
    begin, end = ("FROM", "environment AS source"), "ENTRYPOINT"
    parts = [part[part.index(begin) : [word for word, _ in part].index(end) + 1] for part in (cpu, gpu)]
    assert parts[0] == parts[1]


def copied() -> set[str]:
    """What the Dockerfiles copy out of the checkout."""
    lines = [rest.split() for name in DOCKERFILES for rest in texts(name, "COPY") if "--from" not in rest]
    return {source for *sources, _ in lines for source in sources}


def let_through(root: Path) -> set[str]:
    """Files that a builder is sent from a folder, by the docker SDK's reading of .dockerignore."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    found = exclude_paths(str(root), patterns, dockerfile="Dockerfile.cpu")
    return {path for path in found if (root / path).is_file()} - {".dockerignore", "Dockerfile.cpu"}


def below(path: str, folders: set[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def test_a_build_sees_what_it_copies_and_nothing_else() -> None:
    seen = let_through(ROOT)
    assert all(any(below(path, {wanted}) for path in seen) for wanted in copied())
    extra = {path for path in seen if not below(path, copied())}
    assert not extra


def test_of_the_source_a_build_sees_what_the_images_label_stands_for(tmp_path: Path) -> None:
    wanted = {
        "stages/a.py",
        "stages/deep/er/b.py",
        "stages/table.csv",
        "contract/job.py",
        "segmentation/ffn/c.py",
        "requirements/cpu.txt",
    }
    others = {
        "stages/__pycache__/a.cpython-311.pyc",
        "segmentation/ffn/__pycache__/c.cpython-311.pyc",
        "requirements/dev.txt",
        "runner/d.py",
        "tests/stages/e.py",
        "runs/stages/f.h5",
        "data/g.png",
        ".git/config",
        ".venv/lib/h.py",
        "stages.bak",
    }
    for name in wanted | others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert let_through(tmp_path) == wanted
    before = images.source_hash(tmp_path)
    for name in others:
        (tmp_path / name).unlink()
    assert images.source_hash(tmp_path) == before
    for name in sorted(name for name in wanted if name.startswith(PACKAGES)):
        (tmp_path / name).unlink()
        assert images.source_hash(tmp_path) != before
        before = images.source_hash(tmp_path)


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.stem)
def test_every_line_of_a_lock_file_has_hashes_and_none_an_address(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == sum(len(lines) for lines in locked(file.stem).values()) > 10
    assert all(re.search(r"^    --hash=sha256:[0-9a-f]{64}", block, re.MULTILINE) for block in blocks)
    assert "://" not in text
    assert not re.search(r"^-", text, re.MULTILINE)


@pytest.mark.parametrize("python", ["3.11.2", "3.12.0", "3.13.0"])
@pytest.mark.parametrize(
    ("lock", "of_base", "extras"),
    [
        ("runner", None, ["checkout"]),
        ("dev", None, ["cpu", "checkout", "dev"]),
        ("cpu", {"pydantic"}, ["cpu"]),
        ("gpu", {"pydantic"}, ["gpu"]),
        ("gpu-jax", {"pydantic"}, ["gpu-jax"]),
    ],
)
def test_lock_files_hold_what_pyproject_asks_for(
    lock: str, of_base: set[str] | None, extras: list[str], python: str
) -> None:
    base, by_extra = project()
    wanted = [r for r in base if of_base is None or r.name in of_base]
    for extra in extras:
        wanted += by_extra[extra]
    machine = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    machine |= {"sys_platform": "linux", "platform_machine": "x86_64"}
    held = locked(lock)
    checked = 0
    for requirement in wanted:
        if requirement.marker and not requirement.marker.evaluate(machine):
            continue
        lines = [r for r in held.get(requirement.name, []) if not r.marker or r.marker.evaluate(machine)]
        assert len(lines) == 1, f"{requirement.name} in {lock}.txt for Python {python}: make lock"
        assert version(lines[0]) in requirement.specifier, f"{requirement} and {lines[0]}: make lock"
        checked += 1
    assert checked >= 5


def test_each_extra_for_steps_is_complete() -> None:
    """What `pip install` gets from one extra runs every stage, with one TensorFlow on every machine."""
    extras = project()[1]
    stages = {r.name for r in extras["stages"]}
    assert {"keras", "numpy", "scikit-image"} <= stages
    assert not {name for name in stages if name.startswith(("tensorflow", "jax"))}
    for extra in ("cpu", "gpu", "gpu-jax"):
        assert stages < {r.name for r in extras[extra]}
        for system, processor in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")):
            machine = {"sys_platform": system, "platform_machine": processor}
            flavours = [
                r
                for r in extras[extra]
                if r.name.startswith("tensorflow") and (r.marker is None or r.marker.evaluate(machine))
            ]
            assert len(flavours) == 1, (extra, machine)


def test_a_package_has_one_version_in_all_lock_files() -> None:
    everything = locked("dev")
    shared = 0
    for lock in ("runner", *OF_IMAGES):
        for name, lines in locked(lock).items():
            if name in everything and name != "tensorflow":  # by platform in one, for all in the other
                assert {(version(r), str(r.marker)) for r in lines} == {
                    (version(r), str(r.marker)) for r in everything[name]
                }
                shared += 1
    assert {version(r) for r in locked("gpu")["tensorflow"]} == {version(r) for r in everything["tensorflow"]}
    assert shared > 100


@pytest.mark.parametrize("lock", OF_IMAGES)
def test_images_hold_nothing_of_the_runners(lock: str) -> None:
    base, extras = project()
    theirs = {r.name for r in base + extras["checkout"] + extras["dev"]} - {"h5py", "jax", "pydantic"}
    assert theirs & set(locked("dev")) == theirs
    assert theirs & set(locked(lock)) <= {"rich", "protobuf"}  # of Keras and of TensorFlow, which come with them


def test_each_image_has_one_backend_for_its_gpu() -> None:
    def has(lock: str, start: str) -> set[str]:
        return {name for name in locked(lock) if name.startswith(start)}

    assert has("cpu", "tensorflow") == {"tensorflow", "tensorflow-cpu"}  # one for x86, one for other processors
    assert has("gpu", "tensorflow") == {"tensorflow"}
    assert has("gpu-jax", "tensorflow") == has("cpu", "tensorflow")  # the CPU's: it reads checkpoints
    assert not has("cpu", "jax") | has("gpu", "jax") | has("cpu", "nvidia")
    assert {"jax", "jax-cuda12-plugin", "jax-cuda12-pjrt"} <= has("gpu-jax", "jax")


def test_no_cuda_library_beside_tensorflow_floats() -> None:
    pinned = {r.name: version(r) for r in project()[1]["gpu"] if r.name.startswith("nvidia-")}
    held = {name: version(lines[0]) for name, lines in locked("gpu").items() if name.startswith("nvidia-")}
    assert held == pinned
    assert len(held) == 12


# The proof that the GPU image's build runs.


@pytest.fixture
def prove_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """containers/prove_cuda.py, which finds a made-up TensorFlow: its loader opens two libraries."""
    spec = importlib.util.spec_from_file_location("prove_cuda", ROOT / "containers/prove_cuda.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SITE", tmp_path)
    monkeypatch.setattr(module, "FEWEST", 2)
    monkeypatch.setattr(module, "OPENED", {"Cublas": "libm.so.6", "Nccl": "libpthread.so.0"})
    monkeypatch.setattr(module, "OPENED_BY_CUDA", ())
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    library = tmp_path / "tensorflow/libtensorflow_framework.so.2"
    library.parent.mkdir()
    library.write_bytes(
        b"\0_ZN3tsl8internal9DsoLoader18GetCublasDsoHandleEv\0_ZN3tsl8internal9DsoLoader16GetNcclDsoHandleEv\0"
        b"_ZN3tsl8internal9DsoLoader22GetCudaDriverDsoHandleEv\0_ZN3tsl8internal9DsoLoader15GetHipDsoHandleEv\0"
    )
    return module


def test_the_proof_reads_what_tensorflow_opens(prove_cuda: ModuleType) -> None:
    found = prove_cuda.loader_functions("tensorflow")
    assert list(found) == ["Cublas", "Nccl"]  # neither the driver's nor AMD's
    assert found["Nccl"] == "_ZN3tsl8internal9DsoLoader16GetNcclDsoHandleEv"
    assert list(prove_cuda.opened_by_name(found)) == []


def test_the_proof_names_a_library_that_does_not_open(prove_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ctypes.util.find_library("cublas-of-nobody") is None
    monkeypatch.setitem(prove_cuda.OPENED, "Cublas", "libcublas-of-nobody.so.12")
    (line,) = prove_cuda.opened_by_name(prove_cuda.loader_functions("tensorflow"))
    assert line.startswith("libcublas-of-nobody.so.12 (")


def test_the_proof_opens_what_only_cuda_itself_opens_too(prove_cuda: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "nvidia/cudnn/lib"
    folder.mkdir(parents=True)
    (folder / "libcudnn_ops-of-nobody.so.9").write_bytes(b"")
    (line,) = prove_cuda.opened_by_name(prove_cuda.loader_functions("tensorflow"))
    assert line.startswith("libcudnn_ops-of-nobody.so.9 (")


def test_the_proof_leaves_the_driver_to_the_host(prove_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(library: str) -> Callable[[str], None]:
        def fail(name: str) -> None:
            raise OSError(f"{library}: cannot open shared object file: No such file or directory")

        return fail

    loaders = prove_cuda.loader_functions("tensorflow")
    monkeypatch.setattr(ctypes, "CDLL", needs("libcuda.so.1"))
    assert list(prove_cuda.opened_by_name(loaders)) == []
    monkeypatch.setattr(ctypes, "CDLL", needs("libcudart.so.12"))
    assert len(list(prove_cuda.opened_by_name(loaders))) == 2


def test_the_proof_refuses_what_it_does_not_know(prove_cuda: ModuleType, tmp_path: Path) -> None:
    library = tmp_path / "tensorflow/new.so"
    library.write_bytes(b"_ZN3tsl8internal9DsoLoader19GetCuquantDsoHandleEv")
    (line,) = prove_cuda.opened_by_name(prove_cuda.loader_functions("tensorflow"))
    assert line.startswith("Cuquant, which OPENED does not list")
    library.unlink()
    (tmp_path / "tensorflow/libtensorflow_framework.so.2").write_bytes(
        b"\0_ZN3tsl8internal9DsoLoader16GetNcclDsoHandleEv\0"
    )
    (line,) = prove_cuda.opened_by_name(prove_cuda.loader_functions("tensorflow"))
    assert line == "a loader of at least 2 libraries; found Nccl"


def test_the_proof_wants_a_compiler_that_runs(prove_cuda: ModuleType, tmp_path: Path) -> None:
    lines = list(prove_cuda.compiles(tmp_path / "ptxas", tmp_path / "libdevice.10.bc"))
    assert [line.split()[0] for line in lines] == ["ptxas", "libdevice"]


def test_the_proof_is_none_where_the_loader_is_told_of_folders(
    prove_cuda: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/cuda/lib64")
    with pytest.raises(SystemExit, match="LD_LIBRARY_PATH is set"):
        prove_cuda.main("tensorflow")
