"""Engines that run a study's tasks: processes of this machine, or Ray."""

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from tflite_asr.errors import InputError
from tflite_asr.processes import leave_interrupts_to_the_parent, safe_path

ENGINES = ("local", "ray")
RETRIES = 3  # of a task whose worker was lost
CONNECT_SECONDS = 5.0

Work = TypeVar("Work")
Done = Callable[[Work, dict], None]


def run_tasks(engine: str, function: Callable[[Work], dict], tasks: Sequence[Work], workers: int, done: Done) -> None:
    """Call `function` with every task, each in a process of its own, so that the memory it takes can be measured.

    Args:
        engine: local or ray.
        function: of a module, as are the tasks' classes; both travel to other processes.
        tasks: in any order.
        workers: tasks at the same time on this machine; a Ray cluster that is there already decides itself.
        done: called with each result as it arrives, in this process.

    Raises:
        InputError: a task was refused, raised after all others were done; or the engine cannot be used.
    """
    problems: list[str] = []
    for task, result in _run_ray(function, tasks, workers) if engine == "ray" else _run_local(function, tasks, workers):
        if isinstance(result, InputError):
            problems.append(str(result))
        else:
            done(task, result)
    if problems:
        raise InputError(f"{len(problems)} of {len(tasks)} runs failed, the first: {problems[0]}; the others are done")


def guarded(function: Callable[[Work], dict], task: Work) -> dict | InputError:
    """The result, or the error of bad input or of the system, so that other tasks continue."""
    try:
        return function(task)
    except InputError as error:
        return error
    except OSError as error:  # a full disk, a file that is gone
        return InputError(str(error))


def _run_local(function: Callable, tasks: Sequence[Work], workers: int) -> Iterable[tuple[Work, dict | InputError]]:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from concurrent.futures.process import BrokenProcessPool

    context = multiprocessing.get_context("spawn")  # forks of a process with threads, as runtimes have, can hang
    executor = ProcessPoolExecutor(workers, context, initializer=_end_with_parent, max_tasks_per_child=1)
    with safe_path(), executor as pool:
        futures = {pool.submit(guarded, function, task): task for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise InputError("a worker process was killed, perhaps for its memory; the same command goes on") from None
        finally:
            pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    """End this worker when its study's process ends; it would otherwise run until its task is done."""
    import multiprocessing
    import threading

    leave_interrupts_to_the_parent()
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _run_ray(function: Callable, tasks: Sequence[Work], workers: int) -> Iterable[tuple[Work, dict | InputError]]:
    address = os.environ.get("RAY_ADDRESS", "")
    _check_reachable(address)
    try:
        import ray
        import ray.exceptions
    except ImportError:
        raise InputError("--engine ray needs Ray: pip install 'tflite_asr[cluster]'") from None
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # whose speech is studied is nobody else's business
    local = {} if address else {"num_cpus": workers, "include_dashboard": False, "object_store_memory": 2**27}
    try:
        # Ray annotates a number, and takes names of levels
        ray.init(log_to_driver=False, logging_level="ERROR", **local)  # pyright: ignore[reportArgumentType]
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise InputError(f"RAY_ADDRESS {address or 'not set'}: cannot use Ray: {str(error).splitlines()[0]}") from None
    try:
        # a worker serves one task; Ray runs the task of a lost worker again on another one
        remote = ray.remote(num_cpus=1, max_retries=RETRIES, max_calls=1)(guarded)
        waiting = {remote.remote(function, task): task for task in tasks}
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting))
            task = waiting.pop(ready)
            try:
                yield task, ray.get(ready)
            except ray.exceptions.RayError as error:
                if isinstance(error, ray.exceptions.RayTaskError):
                    raise
                lost = str(error).strip().splitlines()[0]
                yield task, InputError(f"its worker was lost {RETRIES + 1} times: {lost}")
    finally:
        ray.shutdown()


def _check_reachable(address: str) -> None:
    """InputError for an address that nothing answers at; Ray itself tries for half a minute and more."""
    place = address.removeprefix("ray://")
    if place in ("", "auto", "local"):
        return
    host, colon, port = place.rpartition(":")
    try:
        if not colon or not host:
            raise ValueError("expected HOST:PORT or ray://HOST:PORT")
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError) as error:
        raise InputError(f"RAY_ADDRESS {address}: no Ray there: {error}; start one or unset RAY_ADDRESS") from None
