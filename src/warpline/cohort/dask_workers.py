"""Workers of a Dask cluster: one process per GPU or share of the CPU, or those of a running scheduler.

Whoever reaches a worker of Dask runs code in it. The workers that are started here therefore listen on the loopback
interface only, and take nothing without the certificate of this run (TLS, made for it, kept in memory): other users of
the machine, who reach loopback too, are strangers. A scheduler that is named by its address is trusted entirely, with
its workers and all its other clients; `tls://` and a file of credentials keep others out.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

from warpline.cohort.plan import Chunk
from warpline.cohort.worker_settings import WorkerSettings, WorkerSpec
from warpline.errors import DeviceError, UsageError
from warpline.extras import install_command

_log = logging.getLogger(__name__)

WORKER_SECONDS = 300
"""Seconds to wait for the first worker."""

SCHEDULER_SECONDS = 60
"""Seconds to wait for a scheduler."""

LOOPBACK = "127.0.0.1"

_NO_DASK = f"worker processes need packages of the extra 'cluster': {install_command('cluster')}, or run --workers 0"

DASK_CONFIG = {
    "distributed.scheduler.allowed-failures": 0,  # the journal tells who is to blame, not a count
    "distributed.scheduler.worker-saturation": 1.0,  # nothing queues on a worker, so nothing dies with it
    "distributed.scheduler.work-stealing": False,
    "distributed.worker.profile.enabled": False,
    "distributed.worker.multiprocessing-method": "spawn",  # CUDA does not survive a fork
    "distributed.diagnostics.nvml": False,
    "distributed.comm.timeouts.connect": "60s",
    "distributed.scheduler.http.routes": [],  # pages about the cluster, which nobody asked for
    "distributed.worker.http.routes": [],
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
}
"""Settings of Dask that differ from its defaults."""


class DaskPool:
    """Runs chunks in Dask workers of one thread each.

    Parameters
    ----------
    settings : WorkerSettings
        Of the run.
    spec : WorkerSpec, optional
        The workers to start on this machine.
    scheduler : str, optional
        Address or scheduler file of a cluster to use instead; its workers need one thread each.
    credentials : path, optional
        A PEM file for that scheduler: private key, its certificate, and that of the authority.

    Raises
    ------
    DeviceError
        When the scheduler does not answer, or no worker comes.
    UsageError
        When Dask is not installed, or the credentials cannot be used.
    """

    whole = False

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        spec: WorkerSpec | None = None,
        scheduler: str | None = None,
        credentials: str | os.PathLike[str] | None = None,
    ) -> None:
        try:
            import cryptography  # noqa: F401  # Dask would import it too late for a message
            import dask
            import distributed
        except ImportError:
            raise UsageError(_NO_DASK) from None

        self._settings = settings
        self._in_flight: dict[Any, Chunk] = {}
        self._cluster: Any = None
        logging.getLogger("distributed").setLevel(logging.CRITICAL)  # the driver reports what matters
        with dask.config.set(DASK_CONFIG):
            if spec is not None:
                self._cluster = _local_cluster(spec)
            self._client = _connect(self._cluster, scheduler, credentials)
        self._wait: Any = distributed.wait
        self._client.register_plugin(_ignore_interrupts())

    def workers(self) -> int:
        """How many workers are connected now."""
        return max(1, len(self._client.scheduler_info(n_workers=-1)["workers"]))

    def submit(self, chunk: Chunk) -> None:
        """Send a chunk to the scheduler."""
        from warpline.cohort.worker import run_journaled

        future = self._client.submit(
            run_journaled, chunk.tasks, self._settings, chunk.journal, pure=False, key=f"pairs-{chunk.number}"
        )
        self._in_flight[future] = chunk

    def wait(self, seconds: float) -> list[tuple[Chunk, bool]]:
        """Chunks that came back; lost are those whose worker died, whatever else Dask tried with them."""
        try:
            try:
                done = self._wait(list(self._in_flight), timeout=seconds, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                return []
            return [self._collect(future) for future in done]
        except (OSError, CancelledError) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise DeviceError(f"the scheduler was lost ({reason}); start it again") from None

    def call_everywhere(self, check: Callable[..., None], *arguments: Any) -> None:
        """Call a check in every worker that is connected now.

        Raises
        ------
        UsageError
            When a worker refuses.
        DeviceError
            When a worker does not answer.
        """
        try:
            self._client.run(check, *arguments)
        except UsageError as error:
            raise UsageError(f"a worker process: {error}") from None
        except OSError as error:
            raise DeviceError(f"a worker does not answer: {error}; run the cohort again") from None

    def close(self) -> None:
        """End the client, and the workers it started."""
        for part in (self._client, self._cluster):
            if part is not None:
                part.close(timeout=10)

    def _collect(self, future: Any) -> tuple[Chunk, bool]:
        from distributed import KilledWorker

        chunk = self._in_flight.pop(future)
        try:
            results = future.result()
        except KilledWorker:
            results = None
        chunk.results = results or []
        return chunk, results is None


def _local_cluster(spec: WorkerSpec) -> Any:
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.security import Security

    here = {"host": LOOPBACK, "protocol": "tls", "security": Security.temporary()}
    quiet = {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    options = {**here, **quiet, "nthreads": 1, "memory_limit": 0}
    workers = {
        name: {"cls": Nanny, "options": {**options, "env": environment}}
        for name, environment in spec.environments().items()
    }
    scheduler = {"cls": Scheduler, "options": {**here, **quiet, "port": 0}}
    return SpecCluster(workers=workers, scheduler=scheduler, security=here["security"], silence_logs=logging.CRITICAL)


def _connect(cluster: Any, scheduler: str | None, credentials: str | os.PathLike[str] | None) -> Any:
    from distributed import Client

    given = {"address": cluster} if scheduler is None else locate_scheduler(scheduler)
    if scheduler is not None and credentials is not None:
        given["security"] = read_credentials(credentials)
    elif scheduler is not None:
        _log.warning(
            "the connection to %s is not encrypted, and whoever reaches it runs code as you; "
            "start it with TLS and give --scheduler-credentials FILE",
            scheduler,
        )
    try:
        client = Client(**given, timeout=SCHEDULER_SECONDS)
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise DeviceError(f"scheduler {scheduler or 'on this machine'}: no worker answers: {error}") from None
    return client


def read_credentials(credentials: str | os.PathLike[str]) -> Any:
    """TLS settings from a file of credentials, for every role."""
    import ssl

    from distributed.security import Security

    name = os.fspath(credentials)
    try:
        if hasattr(os, "getuid") and os.stat(name).st_mode & 0o077:  # Windows: these bits do not say who may read
            raise UsageError(f"{name} holds a private key and others may read it; run: chmod 600 {name}")
        security = Security(require_encryption=True, tls_ca_file=name, tls_client_cert=name, tls_client_key=name)
        security.get_connection_args("client")
    except OSError as error:  # ssl.SSLError is one
        reason = "it holds no private key with certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise UsageError(
            f"{name} cannot be used: {reason}; a PEM file with key, certificate and authority is needed"
        ) from None
    return security


def locate_scheduler(scheduler: str) -> dict[str, Any]:
    """An address, or a file with one; a scheduler that starts together with the run may write its file only now."""
    end = time.monotonic() + SCHEDULER_SECONDS
    while scheduler.endswith(".json") and not os.path.exists(scheduler) and time.monotonic() < end:
        time.sleep(0.1)
    return {"scheduler_file" if os.path.exists(scheduler) else "address": scheduler}


def _ignore_interrupts() -> Any:
    """Ctrl-C reaches every process of a terminal; the driver alone decides what it means."""
    from distributed.diagnostics.plugin import WorkerPlugin

    class IgnoreInterrupts(WorkerPlugin):
        name = "warpline-ignore-interrupts"

        def setup(self, worker: Any) -> None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)

    return IgnoreInterrupts()
