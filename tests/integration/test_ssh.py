"""Workers started over SSH, on a real sshd of this machine."""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from pathopipe.engine.cluster import start_executor
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import ClusterError
from tests.support.tasks import gpu_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def login(tmp_path):
    """How to log in to this machine: an sshd of its own port and keys."""
    pytest.importorskip("asyncssh", reason="needs pathopipe[ssh]")
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin")
    if program is None:
        pytest.skip("needs an SSH server (Debian: openssh-server)")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
        "PermitRootLogin": "prohibit-password",
        "SetEnv": f"PYTHONPATH={ROOT} OMP_NUM_THREADS=1",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd has no rights; it does not start without
    server = subprocess.Popen([program, "-D", "-f", tmp_path / "sshd_config"], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    options = {"port": port, "username": getpass.getuser(), "client_keys": [str(tmp_path / "user")]}
    yield options | {"known_hosts": None}
    server.terminate()
    server.wait()


def answers(port: int) -> bool:
    with socket.socket() as attempt:
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def ssh(folder: Path, login, **values) -> EngineSpec:
    values = {"kind": "ssh", "hosts": ["127.0.0.1"], "options": {"connect_options": login}} | values
    (folder / "ssh.yaml").write_text(yaml.safe_dump(values))
    return EngineSpec(cluster=str(folder / "ssh.yaml"), start_timeout_s=300)


def children_of_dask(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if "distributed.cli.dask_spec" in line and str(folder) in " ".join(line):
            found.append(process)
    return found


def test_each_worker_has_a_gpu_of_its_own_and_none_is_left(tmp_path, login):
    options = {"connect_options": login, "worker_options": {"local_directory": str(tmp_path)}}
    with start_executor(ssh(tmp_path, login, workers=2, gpu=True, options=options)) as engine:
        seen: set[tuple[int, str]] = set()
        deadline = time.monotonic() + 300
        while len(seen) < 2 and time.monotonic() < deadline:
            engine.each(gpu_of, range(20), lambda item, result: seen.add(result))
        assert len(children_of_dask(tmp_path)) == 2
    assert sorted(gpu for _, gpu in seen) == ["0", "1"]
    deadline = time.monotonic() + 60
    while children_of_dask(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not children_of_dask(tmp_path)


def test_a_machine_that_cannot_be_logged_in_to_is_told(tmp_path, login):
    (tmp_path / "other").write_text((tmp_path / "host").read_text())
    (tmp_path / "other").chmod(0o600)
    with pytest.raises(ClusterError, match="the ssh cluster does not start"):
        start_executor(ssh(tmp_path, login | {"client_keys": [str(tmp_path / "other")]}))


def test_without_asyncssh_the_extra_is_named(tmp_path, monkeypatch):
    from pathopipe.errors import MissingDependencyError

    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(MissingDependencyError, match=r"pathopipe\[ssh\]"):
        start_executor(ssh(tmp_path, {}))
