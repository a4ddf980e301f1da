"""Tiny stages that look around in their container, count, and fill a disk; as texts, for a code folder of their own."""

from __future__ import annotations

STAGES = {
    "look": '''
        """Report what a stage sees and may do."""
        import json

        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {"stack": "stack?", "file": "stack?", "former": "metrics?"}
        OUTPUTS = {"seen": "metrics"}

        class Params(StageParams):
            write: list[str] = []
            """Where to try to write."""
            host: str = ""
            """What to try to reach."""
            port: int = 0
            """Where on it."""

        def run(params: Params, context: Context) -> None:
            from floodrunner.segmentation import looking

            seen = looking.look(context, params.write, params.host, params.port)
            context.outputs["seen"].write_text(json.dumps(seen))
        ''',
    "greedy": '''
        """Use much of one thing."""
        import os
        import threading
        from pathlib import Path

        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {}
        OUTPUTS = {"done": "metrics"}

        class Params(StageParams):
            megabytes: int = 0
            """Of memory."""
            in_tmp: int = 0
            """Megabytes of a file in /tmp."""
            threads: int = 0
            """Started at once."""
            processes: int = 0
            """Started at once."""

        def run(params: Params, context: Context) -> None:
            held = [b"x" * 1_000_000 for _ in range(params.megabytes)]
            with open("/tmp/large", "wb") as file:
                for _ in range(params.in_tmp):
                    file.write(b"x" * 1_000_000)
            ended = threading.Event()
            try:
                for _ in range(params.threads):
                    threading.Thread(target=ended.wait, daemon=True).start()
                for _ in range(params.processes):
                    if os.fork() == 0:
                        ended.wait(60)
                        os._exit(0)
            finally:
                ended.set()
            context.outputs["done"].write_text(str(len(held)))
        ''',
    "leaves": '''
        """Put something else in the place of a file in its folder."""
        import os
        import time

        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {}
        OUTPUTS = {"done": "metrics"}

        class Params(StageParams):
            name: str
            """Which file."""
            to: str = ""
            """Where a link leads; a named pipe without it."""

        def run(params: Params, context: Context) -> None:
            path = context.state.parent / params.name
            path.unlink(missing_ok=True)
            os.symlink(params.to, path) if params.to else os.mkfifo(path)
            context.outputs["done"].write_text("1")
            if params.name.endswith(".txt"):
                os._exit(2)
        ''',
    "lines": '''
        """Count to a number, slowly, telling each; goes on from its state."""
        import json
        import time

        from floodrunner.contract.stage import Context, StageError, StageParams

        INPUTS = {"source": "metrics?"}
        OUTPUTS = {"count": "metrics"}

        class Params(StageParams):
            steps: int = 40
            """How far."""
            seconds: float = 0.05
            """For each."""
            fails: bool = False
            """In the end."""

        def run(params: Params, context: Context) -> None:
            state = context.state / "count"
            done = int(state.read_text()) if state.exists() else 0
            print("from", done, flush=True)

            def save() -> None:
                state.write_text(str(done))

            with context.saves_on_stop():
                while done < params.steps:
                    context.stop_point(save)
                    time.sleep(params.seconds)
                    done += 1
                    print("line", done, flush=True)
                    context.metric("loss", 1 / done, step=done)
            if params.fails:
                raise StageError("the count is wrong; count again")
            save()
            context.outputs["count"].write_text(json.dumps(list(range(done))))
        ''',
    "hoard": '''
        """Write a megabyte at a time into the state, and go on from there; in the end tell how much it was."""
        from floodrunner.contract.stage import Context, StageParams

        INPUTS = {"source": "metrics?"}
        OUTPUTS = {"much": "metrics"}

        class Params(StageParams):
            megabytes: int = 1
            """How much."""

        def run(params: Params, context: Context) -> None:
            for number in range(params.megabytes):
                place = context.state / f"{number}.part"
                if place.exists():
                    continue
                beside = context.state / "writing"
                beside.write_bytes(bytes([number]) * 1_000_000)
                beside.replace(place)
                print("wrote", number, flush=True)
                context.progress(number + 1, params.megabytes, "MB")
            parts = [context.state / f"{number}.part" for number in range(params.megabytes)]
            right = all(part.read_bytes() == bytes([n]) * 1_000_000 for n, part in enumerate(parts))
            context.outputs["much"].write_text(f"{len(parts)} {right}")
        ''',
}

LOOKING = """
import errno
import os
import socket
from pathlib import Path

from floodrunner.contract.ports import split_dataset


def look(context, write, host, port):
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "user": [os.getuid(), os.getgid()],
        "groups": sorted(os.getgroups()),
        "environment": dict(os.environ),
        "home": os.path.expanduser("~"),
        "folder": os.getcwd(),
        "status": {name: value.strip() for name, value in status.items()},
        "writes": {path: trying(write_to, path) for path in write},
        "rights": try_rights(context) if write else {},  # outside of a container root succeeds, and is root no longer
        "interfaces": [name for _, name in socket.if_nameindex()],
        "routes": Path("/proc/net/route").read_text().splitlines()[1:],
        "reaches": trying(reach, host, port) if host else "",
        "first_process": Path("/proc/1/comm").read_text().strip(),
        "reads": {port: read(Path(split_dataset(path)[0])) for port, path in context.inputs.items()},
        "datasets": {port: split_dataset(path)[1] for port, path in context.inputs.items()},
    }


def try_rights(context):
    return {
        "become another": trying(os.setuid, 4321),
        "give away": trying(os.chown, str(context.state), 4321, 4321),
        "make a device": trying(os.mknod, "/tmp/device", 0o600 | 0o060000, os.makedev(7, 0)),
    }


def trying(function, *arguments):
    try:
        function(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))
    return "done"


def write_to(path):
    if os.path.isdir(path):
        probe = os.path.join(path, ".probe")
        with open(probe, "w") as file:
            file.write("x")
        os.remove(probe)
    else:
        with open(path, "r+b") as file:
            file.write(file.read(1))


def reach(host, port):
    socket.create_connection((host, port), timeout=5).close()


def read(path):
    if path.is_dir():
        return {name.name: name.read_text() for name in sorted(path.iterdir()) if name.is_file()}
    return path.read_text()
"""
