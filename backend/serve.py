"""`equipoise serve`: the page, the API and one local worker, started and stopped together."""

from __future__ import annotations

import errno
import importlib.util
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from collections.abc import Callable
from types import FrameType

import uvicorn

from backend.errors import Conflict, EquipoiseError, InvalidRequest
from backend.logs import configure, get_logger
from backend.settings import SECRETS, Settings

log = get_logger(__name__)

#: Of the `worker` extra: what the worker cannot do without.
WORKER_PACKAGES = ("torch", "opacus", "dp_accounting", "pandas", "pyarrow", "sklearn")

#: Longest pause before a worker that keeps ending is started again.
LONGEST_PAUSE = 30.0

#: How long the worker gets to hand its jobs back when the server stops.
WORKER_GRACE = 15.0


def serve(
    settings: Settings,
    *,
    worker: bool = True,
    open_page: bool = True,
    behind_loopback: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Serves until Ctrl-C or SIGTERM. What keeps it from starting is an `EquipoiseError` with a sentence."""
    configure(settings.log_level, json=settings.log_json)
    if not behind_loopback:
        require_loopback(settings.host)
    require_writable(settings)
    listening = listen(settings.host, settings.port)
    address = f"http://{_shown(settings.host)}:{listening.getsockname()[1]}"
    if worker and (missing := missing_packages()):
        worker = False
        say(
            f"The training packages are not installed ({', '.join(missing)}), so studies wait on the queue. "
            "Install them with:  pip install 'equipoise[worker]'"
        )
    keeper = WorkerKeeper(settings) if worker else None
    from backend.main import create_app

    server = _Server(
        uvicorn.Config(
            create_app(settings),
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=2,
            proxy_headers=False,
            server_header=False,
        ),
        on_start=lambda: _started(address, say, open_page),
        on_stop=keeper.stop_soon if keeper else lambda: None,
    )
    if keeper is not None:
        keeper.start()
    # uvicorn raises the signal that stopped it once more when it is done, and the worker is still to be waited for.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: None)
    try:
        server.run(sockets=[listening])
    finally:
        if keeper is not None:
            keeper.stop()
        listening.close()
    if not server.started:
        raise EquipoiseError("The server could not start.", fix="The lines above say why.")


class _Server(uvicorn.Server):
    """Says when it answers, and passes the wish to stop on at once, so that the worker stops meanwhile."""

    def __init__(self, config: uvicorn.Config, *, on_start: Callable[[], None], on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start
        self._on_stop = on_stop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_stop()
        super().handle_exit(sig, frame)


class WorkerKeeper:
    """Runs `worker.main` beside the server and starts it again when it dies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        # The kernel ends a process whose parent *thread* ends: this one starts the worker and outlives it.
        self._thread = threading.Thread(target=self._run, name="worker-keeper", daemon=True)

    def start(self) -> None:
        """Starts the worker; returns at once."""
        self._thread.start()

    def stop_soon(self) -> None:
        """Tells the worker to stop in order; returns at once."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def stop(self) -> None:
        """Waits until the worker has stopped, and ends it the hard way if it does not."""
        self.stop_soon()
        process = self._process
        if process is not None:
            try:
                process.wait(timeout=WORKER_GRACE)
            except subprocess.TimeoutExpired:
                log.warning("the worker did not stop in time; ending it")
                process.kill()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        pause = 1.0
        while not self._stop.is_set():
            began = time.monotonic()
            self._process = self._spawn()
            if self._stop.is_set():
                self._process.terminate()
            code = self._process.wait()
            if self._stop.is_set():
                return
            pause = 1.0 if time.monotonic() - began > 60 else min(LONGEST_PAUSE, pause * 2)
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            log.warning("the worker ended; starting it again", how=how, seconds=pause)
            self._stop.wait(pause)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "worker.main", "--parent", str(os.getpid())]
        if self._settings.embedded():
            command.append("--embedded")
        # A group of its own: Ctrl-C in the terminal is for the server, which then stops the worker in order.
        return subprocess.Popen(command, env=environment(self._settings), stdin=subprocess.DEVNULL, process_group=0)


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with `settings` in it, so that a process started with it has the same ones.

    What only the server needs to know stays out of it.
    """
    hidden = {f"EQUIPOISE_{name.upper()}" for name in SECRETS}
    values = settings.model_dump(mode="json", exclude_none=True, exclude=set(SECRETS))
    values["smtp_domains"] = " ".join(settings.smtp_domains)
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in hidden}
    return {**inherited, **{f"EQUIPOISE_{name.upper()}": text for name, text in texts.items()}}


def require_loopback(host: str) -> None:
    """Refuses an address that others can reach: there is no login."""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise InvalidRequest(
            f"Refusing to serve on {host}: there is no login, so whoever reaches it could run and delete studies.",
            fix="Use 127.0.0.1 and reach it from elsewhere through SSH:  ssh -L 8000:127.0.0.1:8000 THIS-MACHINE",
        )


def require_writable(settings: Settings) -> None:
    """Refuses a data folder that cannot be written to, before anything half works."""
    folder = settings.data_dir.expanduser().resolve()
    probe = folder / f".probe-{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise Conflict(
            f"The data folder {folder} cannot be written to ({error.strerror or error}).",
            fix="Name another one with --data-dir or EQUIPOISE_DATA_DIR.",
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that a taken port is found out before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
        # Listening begins here: two sockets may both be bound to an address with SO_REUSEADDR, but not both listen.
        bound.listen(2048)
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                f"Port {port} of {host} is taken by another program, perhaps another `equipoise serve`.",
                fix=f"Choose another one, for example:  equipoise serve --port {port + 1 if port < 65535 else 8000}",
            ) from error
        raise Conflict(
            f"Cannot serve on {host}:{port} ({error.strerror or error}).", fix="Choose another --host or --port."
        ) from error
    return bound


def missing_packages() -> list[str]:
    """Packages of the worker that are not installed."""
    return [name for name in WORKER_PACKAGES if importlib.util.find_spec(name) is None]


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _started(address: str, say: Callable[[str], None], open_page: bool) -> None:
    say(f"Equipoise is at {address}  (Ctrl-C stops it)")
    if open_page and sys.stdout.isatty() and _has_display():
        threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _has_display() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
