"""The Ray that a survey runs on: joined, or started for it and ended, without a word of its own."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nlviz.errors import NlvizError
from nlviz.surveys.engines.engine import Job
from nlviz.surveys.engines.places import places_for

OLDEST = (2, 60)
PATIENCE = 10.0  # seconds for a cluster to answer
STORE = 128 << 20  # bytes of shared memory: what passes through Ray are names and sentences
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_TQDM": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class Places:
    """What a cluster has room for.

    Attributes:
        workers: how many.
        gpus: that each of them has; a fraction where they share one, 0 on processors.
    """

    workers: int
    gpus: float = 0.0


@contextmanager
def cluster(address: str | None, job: Job, workers: int | None) -> Iterator[Places]:
    """Join a cluster, or start one on this machine; yield what it has room for.

    A Ray that this process has joined already is used as it is, and left as it is.

    Args:
        address: of the cluster; None starts one.
        job: what workers are told.
        workers: how many are asked for; None for as many as there are processors or GPUs for.

    Raises:
        NlvizError: when there is none to be had.
    """
    here = len(places_for(job, workers))
    with _quiet():
        import ray

        _checked(ray.__version__)
        if ray.is_initialized():
            yield _fitting(ray.cluster_resources(), job, workers)
            return
        folder = tempfile.mkdtemp(prefix="nlviz-ray-") if address is None else None
        try:
            if address is not None:
                _answering(address)
            with explained(address), _deaf():
                ray.init(**_how(address, folder, here * job.options.threads))
            many = workers if address is not None else here
            yield _fitting(ray.cluster_resources(), job, many)
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def _how(address: str | None, folder: str | None, processors: int) -> dict[str, Any]:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL + 1}
    if address is not None:
        return {"address": address, **quiet}
    return {
        "address": "local",
        "num_cpus": processors,
        "object_store_memory": STORE,
        "include_dashboard": False,
        "_temp_dir": folder,
        **quiet,
    }


def _fitting(resources: Mapping[str, float], job: Job, workers: int | None) -> Places:
    """Return how many workers a cluster has room for: one for each GPU, or for each processor.

    >>> from nlviz.surveys.options import SurveyOptions
    >>> job = Job("lite-nl", SurveyOptions(), "here", "1")
    >>> _fitting({"CPU": 6.0}, job, None), _fitting({"CPU": 6.0, "GPU": 2.0}, job, 3)
    (Places(workers=6, gpus=0.0), Places(workers=3, gpus=0.66))
    """
    device = str(job.load.get("device") or "auto")
    gpus = resources.get("GPU", 0.0)
    if device.startswith("cuda") and not gpus:
        raise NlvizError(
            "a worker on cuda needs a GPU, but Ray sees none in this cluster; start its nodes "
            "with --num-gpus, or leave out --device cuda"
        )
    if gpus and (device == "auto" or device.startswith("cuda")):
        many = workers or max(1, int(gpus))
        return Places(many, min(1.0, int(100 * gpus / many) / 100))
    return Places(workers or max(1, int(resources.get("CPU", 1)) // job.options.threads))


def _answering(address: str) -> None:
    """Raise where nobody listens: Ray itself waits for minutes, and then ends the process."""
    found = re.fullmatch(r"(ray://)?\[?([^\[\]/@\s]+?)\]?:(\d{1,5})(/.*)?", address)
    if address == "auto":
        return
    if found is None:
        raise NlvizError(
            f"the address of a Ray cluster is auto, HOST:6379 or ray://HOST:10001, got {address!r}"
        )
    if found[1] and importlib.util.find_spec("grpc") is None:
        raise NlvizError(
            "an address that begins with ray:// needs Ray's client; pip install 'ray[client]', or "
            "run the survey on a node of the cluster with --address auto"
        )
    try:
        socket.create_connection((found[2], int(found[3])), timeout=PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise NlvizError(_nobody(f"at {address!r}", str(error))) from None


def _nobody(where: str, why: str) -> str:
    return (
        f"no Ray cluster answers {where} ({why}); start one with `ray start --head`, or leave out "
        "the address to have one started for this survey"
    )


def _checked(version: str) -> None:
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise NlvizError(
            f"the engine 'ray' needs Ray {oldest} or newer, got {version}; "
            "pip install --upgrade 'nlviz[ray]'"
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Ray's own words off the terminal; what it raises is said by ``explained``."""
    added = {name: value for name, value in _QUIET.items() if name not in os.environ}
    os.environ |= added
    try:
        import ray.data  # noqa: F401  it sets its logger up, which is then told to be still
        from ray._private import worker  # told of dead workers on the standard output else

        loggers = [logging.getLogger(name) for name in ("ray", "ray.data")]
        levels = [logger.level for logger in loggers]
        spoke = getattr(worker, "_worker_logs_enabled", True)
        try:
            for logger in loggers:
                logger.setLevel(logging.CRITICAL + 1)
            worker._worker_logs_enabled = False
            yield
        finally:
            worker._worker_logs_enabled = spoke
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
    finally:
        for name in added:
            os.environ.pop(name, None)


@contextmanager
def _deaf() -> Iterator[None]:
    """Send what Ray's C++ writes to the standard error while it starts to nowhere."""
    nowhere, kept = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


@contextmanager
def explained(address: str | None = None) -> Iterator[None]:
    """Say what Ray raises in a sentence: what is wrong, and what helps.

    Raises:
        NlvizError: in place of any exception of Ray's; one of ours, raised on a node, is raised.
    """
    try:
        yield
    except NlvizError:
        raise
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, NlvizError):
                raise type(cause)(*cause.args) from None
        raise NlvizError(_sentence(error, address)) from error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield what an exception of Ray's is about; Ray wraps those of a node more than once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        inner = getattr(error, "cause", None)
        error = inner if isinstance(inner, BaseException) else error.__cause__


def _sentence(error: Exception, address: str | None) -> str:
    whole = " ".join(str(e) for e in _causes(error))
    first = " ".join(str(error).split())[:300]
    where = f"at {address!r}" if address else "on this machine"
    ours = re.findall(r"nlviz\.errors\.\w+: (.+)", whole)  # of an actor that could not start
    if ours:
        return str(ours[-1])
    if "No module named 'nlviz" in whole:
        return "nlviz must be on every node of the cluster; pip install 'nlviz[ray]' on each"
    if "Version mismatch" in whole:
        return f"Ray and Python must have the same versions {where} as here: {first}"
    if "AuthenticationError" in whole or "auth token" in whole.lower():
        return (
            f"the cluster {where} asks for its token: set RAY_AUTH_MODE=token, with the token in "
            "~/.ray/auth_token or in RAY_AUTH_TOKEN"
        )
    if isinstance(error, ConnectionError | TimeoutError):
        return _nobody(where, first)
    return f"Ray gave up {where}: {type(error).__name__}: {first}"
