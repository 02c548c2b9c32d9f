"""Processes of their own for learning and for serving: each is forked from one that has torch imported already.

A process costs some hundredths of a second instead of the seconds that importing torch, transformers and trl takes. The
server that forks them has imported and done nothing else, so a child starts as fresh as an interpreter does.
"""

import os
import signal
from contextlib import contextmanager
from multiprocessing import forkserver, get_context
from pathlib import Path

import torch

from learners.training import train
from monitors.engines import Prompt, in_order, open_engines
from monitors.job import EngineSettings, VersionRef
from tests.learners.runs import job_at

_SECONDS = 300
_NEEDED = ("monitors.engines.transformers", "transformers.models.llama.modeling_llama")
_CONTEXT = get_context("forkserver")


@contextmanager
def forks():
    """Start the server that forks; stop it, so that no test after this one finds its process."""
    _CONTEXT.set_forkserver_preload([__name__, *_NEEDED])
    forkserver.ensure_running()
    yield
    forkserver._forkserver._stop()


def killed_at_step(step: int, folder: Path, request: dict) -> bool:
    """Train in a process that kills itself, as `kill -9` does, when it has made `step` steps; False: it never has.

    What a step leaves is checkpointed after it: the last checkpoint is that of the step before.
    """
    process = _started(_train, folder, request, step)
    return process.exitcode == -signal.SIGKILL


def trained(folder: Path, request: dict) -> Path:
    """Train in a process, from the latest checkpoint in `folder`; the new version's folder."""
    process = _started(_train, folder, request, None)
    assert process.exitcode == 0
    return folder / "output" / "version"


def served(versions: list[Path], beginning: str, endings: list[str]) -> list[tuple[str, list[float]]]:
    """How the engine of a process that knows nothing but folders goes on from a text, with one version after another.

    Returns:
        For each version its own ending, and the log-likelihood of each of `endings`, in nats.
    """
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _started(_serve, versions, beginning, endings, sender)
    assert process.exitcode == 0
    return receiver.recv()


def _started(target, *arguments):
    process = _CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join(_SECONDS)
    assert process.exitcode is not None, f"{target.__name__} is not over after {_SECONDS} s"
    return process


def _train(folder, request, last_step):
    torch.set_num_threads(1)
    job = job_at(folder)
    report = job.progress

    def progress(done, total, message, **metrics):
        report(done, total, message, **metrics)
        if message == "training" and done == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    job.progress = progress
    train(request, job)


def _serve(versions, beginning, endings, sender):
    torch.set_num_threads(1)
    open_engine = open_engines(EngineSettings(kind="transformers"))
    prompt, found = Prompt(text=beginning), []
    for version in versions:
        engine = open_engine(VersionRef(id=version.name, path=version))
        (said,) = in_order(engine.generate([prompt], [8]), 1)
        likelihoods = in_order(engine.loglikelihood([(prompt, ending) for ending in endings]), len(endings))
        found.append((said, [likelihood.logprob for likelihood in likelihoods]))
    sender.send(found)
