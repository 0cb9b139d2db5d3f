"""The main job on workers with a network of their own: the same bytes as one process, though one is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pytest

from tests.support.cli import command, environment, pathopipe, results, summary
from tests.support.namespaces import BRIDGE, hosts, possible
from tests.support.programs import ROOT, Programs

SMALL_TILES = ("--set", "grid.tile_px=320")


@pytest.fixture
def two_hosts():
    if not possible():
        pytest.skip("network namespaces need root on Linux, and the program ip")
    with hosts(2) as made:
        yield made


def started(folder, two_hosts, hidden=None):
    """Scheduler here, a worker on each host, started in another folder than the run's; ``hidden`` is empty on one."""
    folder.mkdir()
    programs = Programs(folder)
    programs.scheduler(host=BRIDGE)
    one, two = two_hosts
    if hidden is not None:
        two = (*two, "unshare", "--mount", "sh", "-c", f'mount -t tmpfs none "{hidden}" && exec "$@"', "sh")
    options = ("--nworkers", "1", "--no-nanny")
    return programs, [programs.worker(*options, prefix=prefix) for prefix in (one, two)]


def test_workers_on_other_hosts_give_the_same_bytes_though_one_is_killed(drawn_slide, two_hosts, tmp_path):
    pathopipe("run", drawn_slide.slide, "--out", tmp_path / "serial", "--cluster", "serial", *SMALL_TILES)
    programs, (victim, _) = started(tmp_path / "programs", two_hosts)
    try:
        # Relative paths: the workers were started elsewhere.
        arguments = command("run", "drawn.svs", "--out", "out", "--cluster", programs.address, *SMALL_TILES)
        (tmp_path / "drawn.svs").symlink_to(drawn_slide.slide)
        paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        run = subprocess.Popen(arguments, cwd=tmp_path, env=environment() | paths, stderr=subprocess.PIPE, text=True)
        instances = tmp_path / "out" / "drawn" / "instances"
        while len(list(instances.glob("*.npz"))) < 4:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.02)
        programs.kill(victim)
        told = run.communicate(timeout=600)[1]
        assert run.returncode == 0, told
    finally:
        programs.close()
    assert f"the Dask cluster at tcp://{BRIDGE}" in told
    assert results(tmp_path / "out" / "drawn") == results(tmp_path / "serial" / "drawn")
    assert summary(tmp_path / "out")["drawn"]["status"] == "complete"
    assert not [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".probe")]


def test_a_host_that_does_not_see_the_slides_is_named(drawn_slide, two_hosts, tmp_path):
    slides = tmp_path / "slides"
    slides.mkdir()
    shutil.copy(drawn_slide.slide, slides / "a.svs")
    programs, _ = started(tmp_path / "programs", two_hosts, hidden=slides)
    try:
        from distributed import Client

        with Client(programs.address, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
        done = pathopipe("run", slides, "--out", tmp_path / "out", "--cluster", programs.address, code=1)
    finally:
        programs.close()
    assert "1 of 2 workers cannot do this run" in done.stderr
    assert f"worker tcp://{BRIDGE[:-1]}3:" in done.stderr
    assert "does not see the slide" in done.stderr
    assert not (tmp_path / "out" / "a").exists()
