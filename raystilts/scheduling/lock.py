"""One driver at a time writes to a results folder: a file lock on a disk, a refreshed object on an object store."""

from __future__ import annotations

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from raystilts.errors import StorageError, UserError
from raystilts.filesystem import Folder, open_folder
from raystilts.scheduling.announce import silent
from raystilts.scheduling.stop_request import ask_to_stop, listening

LOCAL_LOCK, REMOTE_LOCK = ".driver.lock", "driver.lock"
#: Who holds the lock on a disk, for those that want to stop it.
LOCAL_OWNER = ".driver.json"
#: A driver says this often that it lives, and counts as dead when it has not for so long.
BEAT_SECONDS, DEAD_SECONDS = 20.0, 90.0
#: Who waits for another driver looks this often whether it lives.
LOOK_SECONDS = 1.0
#: A lock on a disk is tried for so long: who only looks whether it is held holds it for a moment.
TRY_SECONDS = 1.0


@dataclass(slots=True)
class HeldLock:
    """A lock that this driver holds.

    Attributes:
        when_lost: Called with the reason, from another thread, if it no longer does.
    """

    when_lost: Callable[[str], None] = field(default=lambda reason: None)


@contextmanager
def driver_lock(results: str, say: Callable[[str], None] = silent) -> Iterator[HeldLock]:
    """One driver a results folder. On a disk the lock goes with its process.

    An object store keeps it: then whoever comes next waits until the lock's driver gives a sign of life, or has given
    none for `DEAD_SECONDS`.

    Args:
        say: Called with a line that says for what it waits.

    Raises:
        StorageError: another driver is at work.
    """
    folder = open_folder(results)
    if folder.path is None:
        with _object_lock(folder, say) as held, listening(folder):
            yield held
        return
    lock = FileLock(folder.path / LOCAL_LOCK, timeout=TRY_SECONDS)
    try:
        lock.acquire()
    except Timeout:
        raise _in_use(results) from None
    try:
        with listening(folder):  # before anybody can find out whom to stop
            with suppress(StorageError):  # a full disk: who cleans it needs the lock all the same
                folder.write(LOCAL_OWNER, json.dumps(_ourselves()).encode(), overwrite=True)
            yield HeldLock()
    finally:
        with suppress(FileNotFoundError):
            (folder.path / LOCAL_OWNER).unlink()
        lock.release()


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that writes to a results folder."""

    host: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def live_owner(results: str | Folder) -> Owner | None:
    """The driver at work in a results folder, on whichever machine; None where there is none."""
    folder = open_folder(results)
    owner = _owner(folder, REMOTE_LOCK if folder.path is None else LOCAL_OWNER)
    if not owner or not _is_held(folder) or _has_ended(owner):
        return None
    return Owner(str(owner.get("host")), int(owner.get("pid", 0)))


def stop_driver(results: str, patience: float = DEAD_SECONDS) -> Owner:
    """Asks the run that writes to a results folder to end as by Ctrl-C, and waits until it has heard.

    Args:
        patience: Seconds to wait: other machines see a new file on a shared disk after up to a minute.

    Raises:
        UserError: no run writes there, or it does not answer.
    """
    folder = open_folder(results)
    owner = live_owner(folder)
    if owner is None:
        raise UserError(f"{results}: no raystilts run is at work here; there is nothing to stop")
    if not ask_to_stop(folder, lambda: live_owner(folder) is not None, patience):
        raise UserError(
            f"{results}: its run, {owner}, has not answered for {patience:.0f} s; stop it there: kill -INT {owner.pid}"
        )
    return owner


def _is_held(folder: Folder) -> bool:
    """Whether a driver holds the lock; on an object store it does while it gives signs of life."""
    if folder.path is None:
        with suppress(FileNotFoundError):
            return folder.age(REMOTE_LOCK) <= DEAD_SECONDS
        return False
    path = folder.path / LOCAL_LOCK
    if not path.exists():
        return False
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except (Timeout, PermissionError):  # who may not write there can only believe what the owner says
        return True
    lock.release()
    return False


def _ourselves() -> dict[str, Any]:
    """This process, as others can find it."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "processes": _processes()}


def _in_use(results: str, who: str = "") -> StorageError:
    return StorageError(
        f"{results}: another raystilts run is writing here{who}; wait for it to end, stop it, or give the study "
        "another name"
    )


@contextmanager
def _object_lock(folder: Folder, say: Callable[[str], None]) -> Iterator[HeldLock]:
    """A lock on an object store: an object that only one can create, refreshed while its driver lives."""
    owner = _ourselves() | {"token": secrets.token_hex(8)}
    held, ended = HeldLock(), threading.Event()
    _acquire(folder, owner, say)
    thread = threading.Thread(target=_beat, args=(folder, owner, held, ended), daemon=True)
    thread.start()
    try:
        yield held
    finally:
        ended.set()
        thread.join()
        if _owner(folder) == owner:
            folder.delete(REMOTE_LOCK)


def _processes() -> str | None:
    """Names the processes that can be seen from here: another name on each machine, in each container, at each boot."""
    with suppress(OSError, IndexError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # When process 1 was started: field 22, counted after the name, which may hold anything.
        return f"{boot}-{Path('/proc/1/stat').read_text(encoding='utf-8').rsplit(')', 1)[1].split()[19]}"
    return None


def _acquire(folder: Folder, owner: dict[str, Any], say: Callable[[str], None]) -> None:
    data = json.dumps(owner).encode()
    if folder.write(REMOTE_LOCK, data):
        return
    other = _owner(folder)
    if not _has_ended(other):
        _wait_for_death(folder, other, say)
    if _owner(folder) == other:
        folder.delete(REMOTE_LOCK)
    # Of several drivers that find a dead one's lock, one creates the new one.
    if not folder.write(REMOTE_LOCK, data):
        raise _in_use(folder.url)


def _owner(folder: Folder, name: str = REMOTE_LOCK) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(folder.read(name))
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _has_ended(owner: dict[str, Any]) -> bool:
    """Whether a lock's driver was a process that could be seen from here, and is no more."""
    here = _processes()
    return here is not None and owner.get("processes") == here and not Path(f"/proc/{owner.get('pid')}").exists()


def _wait_for_death(folder: Folder, owner: dict[str, Any], say: Callable[[str], None]) -> None:
    """Waits until a lock's driver counts as dead, or has taken its lock away.

    Raises:
        StorageError: it lives.
    """
    who = f" ({owner.get('host')}, process {owner.get('pid')})" if owner else ""
    with suppress(FileNotFoundError):
        seen = folder.age(REMOTE_LOCK)
        if seen <= DEAD_SECONDS:
            say(
                f"{folder.url}: locked by another raystilts run{who}; if it gives no sign of life this one starts in "
                f"{DEAD_SECONDS - seen:.0f} s"
            )
        while (age := folder.age(REMOTE_LOCK)) <= DEAD_SECONDS:
            if age < seen or _owner(folder) != owner:
                raise _in_use(folder.url, who)
            seen = age
            time.sleep(LOOK_SECONDS)


def _beat(folder: Folder, owner: dict[str, Any], held: HeldLock, ended: threading.Event) -> None:
    """Says again and again that this driver lives, until it ends or finds another's lock."""
    alive = time.monotonic()
    while not ended.wait(BEAT_SECONDS):
        try:
            if _owner(folder) != owner:
                held.when_lost(f"{folder.url}: another raystilts run has taken over; this one stops")
                return
            folder.write(REMOTE_LOCK, json.dumps(owner).encode(), overwrite=True)
            alive = time.monotonic()
        except (OSError, StorageError) as error:
            if time.monotonic() - alive > DEAD_SECONDS:
                held.when_lost(f"{folder.url}: not reached for {DEAD_SECONDS:.0f} s ({error}); this run stops")
                return
