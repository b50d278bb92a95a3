"""Hosts on one machine: each its own network, processes, home folder, Python environment and sshd.

A host is a set of Linux namespaces on a bridge. What it writes to its home folder and to its Python environment goes
into a layer of its own, its disk; all else is shared, as over NFS. Needs root, and:
apt-get install iproute2 openssh-server openssh-client rsync
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

BRIDGE, GATEWAY = "rsbridge", "10.77.0.1"
_PROGRAMS = ("ip", "unshare", "mount", "/usr/sbin/sshd", "ssh", "ssh-keygen", "rsync")


@dataclass(slots=True)
class Host:
    """One host.

    Attributes:
        name: Its host name, and the name of its network namespace.
        address: Its IP address.
        folder: Its own disk: a folder on the real one.
        key: The private key to log in with.
        process: The process that holds its namespaces; None while it is switched off.
    """

    name: str
    address: str
    folder: Path
    key: Path
    process: subprocess.Popen[bytes] | None = None


def why_not(folder: Path) -> str | None:
    """The reason why there can be no hosts on this machine; None where there can."""
    if sys.platform != "linux":
        return "hosts are Linux namespaces"
    if os.geteuid() != 0:
        return "only root can make network namespaces"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"no {', '.join(missing)}: apt-get install iproute2 openssh-server openssh-client rsync"
    for part in ("lower", "upper", "work", "merged"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    layers = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work"
    attempt = f"mount -t overlay overlay -o {layers} {folder}/merged"
    done = subprocess.run(
        ["unshare", "--net", "--pid", "--fork", "--mount", "--uts", "--mount-proc", "bash", "-c", attempt],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return None if done.returncode == 0 else f"no namespaces or overlays here: {done.stderr.strip()[-160:]}"


def make_hosts(folder: Path, names: Sequence[str]) -> list[Host]:
    """Names, addresses and keys of hosts, and the bridge between them; none is switched on."""
    for key in ("id", "host"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    remove_bridge()
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("addr", "add", f"{GATEWAY}/24", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    return [Host(name, f"10.77.0.{10 + i}", folder / name, folder / "id") for i, name in enumerate(names)]


def remove_bridge() -> None:
    """Removes the bridge, where there is one."""
    subprocess.run(["ip", "link", "del", BRIDGE], capture_output=True, check=False)


def switch_on(host: Host, environment: Mapping[str, str]) -> None:
    """Starts a host with what is on its disk, and waits until one can log in.

    Args:
        environment: What every login of this host finds in its environment.
    """
    new = not host.folder.exists()
    subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)
    _ip("netns", "add", host.name)
    # The same hardware address each time: else others look for it at the old one for a while.
    hardware = f"02:00:00:00:00:{int(host.address.rsplit('.', 1)[1]):02x}"
    peer = ("peer", "name", "eth0", "address", hardware, "netns", host.name)
    _ip("link", "add", f"v-{host.name}", "type", "veth", *peer)
    _ip("link", "set", f"v-{host.name}", "master", BRIDGE, "up")
    inside = ("-n", host.name)
    _ip(*inside, "addr", "add", f"{host.address}/24", "dev", "eth0")
    _ip(*inside, "link", "set", "eth0", "up")
    _ip(*inside, "link", "set", "lo", "up")
    _ip(*inside, "route", "add", "default", "via", GATEWAY)
    host.folder.mkdir(parents=True, exist_ok=True)
    (host.folder / "sshd_config").write_text(_sshd_config(host, environment))
    with (host.folder / "sshd.log").open("wb") as log:
        host.process = subprocess.Popen(
            ["ip", "netns", "exec", host.name, "unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts",
             "--mount-proc", "bash", "-ec", _start(host, new)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    _wait_for_port(host)


def switch_off(host: Host) -> None:
    """Takes a host's power: every process on it is gone at once, and its address answers no more."""
    if host.process is None:
        return
    host.process.send_signal(signal.SIGKILL)
    host.process.wait()
    host.process = None
    while subprocess.run(["ip", "netns", "pids", host.name], capture_output=True, check=False).stdout:
        time.sleep(0.05)
    subprocess.run(["ip", "link", "del", f"v-{host.name}"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", host.name], capture_output=True, check=False)


def replace(host: Host) -> None:
    """Puts a new machine in a host's place, under the same name and address; it is switched off."""
    switch_off(host)
    shutil.rmtree(host.folder)


def on(host: Host, command: str, *, timeout: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Runs a command on a host over SSH, in a shell as `ray exec` starts one.

    Raises:
        RuntimeError: it failed, with what it said.
    """
    shell = [*ssh(host), f"bash --login -i -c {_quoted(command)}"]
    done = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{host.name}: {command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def ssh(host: Host) -> list[str]:
    """The command that logs in to a host."""
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes")
    given = [part for option in options for part in ("-o", option)]
    return ["ssh", *given, "-i", str(host.key), f"root@{host.address}"]


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _sshd_config(host: Host, environment: Mapping[str, str]) -> str:
    found = " ".join(f'"{name}={value}"' for name, value in environment.items())
    lines = {
        "ListenAddress": f"{host.address}:22",
        "HostKey": host.key.with_name("host"),
        "AuthorizedKeysFile": host.key.with_name("id.pub"),
        "PermitRootLogin": "yes",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": host.folder / "sshd.pid",
        "MaxStartups": 100,
        "Subsystem": "sftp internal-sftp",
        "SetEnv": found,
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def _start(host: Host, new: bool) -> str:
    """What the first process of a host does: its own layers over what is shared, then sshd."""
    lines = [f"hostname {host.name}"]
    for number, place in enumerate((Path.home(), Path(sys.prefix))):
        upper, work = host.folder / f"upper{number}", host.folder / f"work{number}"
        lines += [
            f"mkdir -p {upper} {work}",
            f"mount -t overlay overlay -o lowerdir={place},upperdir={upper},workdir={work} {place}",
        ]
    # What this machine's own user has set up is not on a new one. (It may change meanwhile: hide it, remove nothing.)
    for own in (".ray", ".cache", ".ssh"):
        lines += [f"mkdir -p ~/{own} {host.folder}/{own}", f"mount --bind {host.folder}/{own} ~/{own}"]
    for own in ("/tmp/ray", "/dev/shm"):
        lines += [f"mkdir -p {own}", f"mount -t tmpfs -o size=2g tmpfs {own}"]
    if new:
        lines += ["rm -f ~/.bash_profile", "cp /etc/skel/.bashrc /etc/skel/.profile ~"]
    return "\n".join([*lines, f"exec /usr/sbin/sshd -D -e -f {host.folder}/sshd_config"])


def _wait_for_port(host: Host) -> None:
    end = time.monotonic() + 20
    while True:
        try:
            socket.create_connection((host.address, 22), timeout=2).close()
            return
        except OSError:
            if time.monotonic() > end:
                log = (host.folder / "sshd.log").read_text(errors="replace")
                raise RuntimeError(f"{host.name} does not start: {log}") from None
            time.sleep(0.1)
