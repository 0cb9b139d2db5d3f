"""Do the SLURM files that ship give the same bytes as one process, and do killed jobs cost nothing?

    python benchmarks/slurm.py --size 4000 [--slides 3]

Starts a SLURM of one node on this machine (root, and the programs munged, slurmctld, slurmd and sbatch, are needed:
Debian's packages slurmctld, slurmd, slurm-client and munge), draws slides, and analyses them five times: in one
process; by workflows/slurm/run.sbatch; by run.sbatch cancelled half-way and submitted again; as a job array by
workflows/slurm/array.sbatch; and with configs/clusters/slurm.yaml, whose workers are jobs, one of them cancelled
half-way. The outputs are compared byte by byte. The SLURM ends with the script.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml
from seams import RESULTS, pathopipe

ROOT = Path(__file__).parents[1]
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
CONF = """\
ClusterName=pathopipe
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
MinJobAge=600
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort=16817
SlurmdPort=16818
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=localhost NodeAddr=127.0.0.1 CPUs=32 CoresPerSocket=32 RealMemory=256000 State=UNKNOWN
PartitionName=normal Nodes=localhost Default=YES MaxTime=INFINITE State=UP
"""
"""One node that claims more cores than it has, so that jobs which ask for eight can run side by side."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=4000, help="side of the drawn slides in level-0 pixels")
    options.add_argument("--slides", type=int, default=3)
    chosen = options.parse_args()
    missing = [name for name in PROGRAMS if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        sys.exit(f"this needs root and a SLURM; missing: {', '.join(missing) or 'root'}")
    with tempfile.TemporaryDirectory() as temporary, slurm(Path(temporary) / "slurm"):
        folder = Path(temporary)
        slides = folder / "slides"
        slides.mkdir()
        for seed in range(chosen.slides):
            drawn = slides / f"slide{seed}.svs"
            pathopipe("synth", "--size", chosen.size, chosen.size, "--seed", seed, "--out", drawn, "-q")
        pathopipe("run", slides, "--out", folder / "serial", "--cluster", "serial", "-q")
        tiles = len(list((folder / "serial").glob("*/instances/*.npz")))
        fine = True
        for way in (one_job, cancelled_job, array_job, jobs_as_workers):
            out = folder / way.__name__
            told = way(slides, out, tiles)
            same = alike(folder / "serial", out)
            print(f"{way.__name__}: {told}: {'the same bytes' if same else 'OTHER BYTES'}", flush=True)
            fine &= same
    sys.exit(not fine)


def one_job(slides: Path, out: Path, _: int) -> str:
    wait(submit("run.sbatch", slides, out))
    return "run.sbatch"


def cancelled_job(slides: Path, out: Path, tiles: int) -> str:
    job = submit("run.sbatch", slides, out)
    until(lambda: done(out) >= tiles // 2, "half of the tiles")
    run("scancel", "--signal=KILL", "--full", job)
    wait(job)
    kept = done(out)
    wait(submit("run.sbatch", slides, out))
    return f"run.sbatch, killed after {kept} of {tiles} tiles and submitted again"


def array_job(slides: Path, out: Path, _: int) -> str:
    wait(submit("array.sbatch", slides, out, "--array=1-3"))
    return "array.sbatch, 3 jobs at once"


def jobs_as_workers(slides: Path, out: Path, tiles: int) -> str:
    """Take the shipped file with two jobs of one process each, and the loopback network: it is one small machine."""
    values = yaml.safe_load((ROOT / "configs" / "clusters" / "slurm.yaml").read_text(encoding="utf-8"))
    values["workers"] = 2
    values["options"] |= {"cores": 1, "processes": 1, "memory": "3GB", "interface": "lo"}
    values["options"]["log_directory"] = str(out.parent / "logs")
    file = out.parent / "cluster.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    command = [sys.executable, "-m", "pathopipe", "run", slides, "--out", out, "--cluster", file]
    with subprocess.Popen(list(map(str, command)), cwd=ROOT, stdout=subprocess.DEVNULL) as main:
        until(lambda: done(out) >= tiles // 2, "half of the tiles")
        jobs = run("squeue", "--noheader", "--format=%i", "--states=RUNNING").split()
        run("scancel", jobs[0])
        kept = done(out)
        if main.wait(timeout=3600) != 0:
            sys.exit("the run with jobs as workers failed")
    left = run("squeue", "--noheader", "--format=%i").split()
    until(lambda: not run("squeue", "--noheader").strip(), "the end of all jobs")
    return f"slurm.yaml, {len(jobs)} jobs, one cancelled after {kept} of {tiles} tiles; {len(left)} were still ending"


def submit(file: str, slides: Path, out: Path, *options: str) -> str:
    """Submit a shipped job file and return the job's number."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    given = ("--parsable", f"--output={out.parent}/{out.name}-%A-%a.log", f"--export=ALL,PATH={path}", *options)
    return run("sbatch", *given, ROOT / "workflows" / "slurm" / file, slides, out).strip().partition(";")[0]


def wait(job: str) -> None:
    until(lambda: not run("squeue", "--noheader", "--job", job).strip(), f"the end of job {job}")


def until(true: Callable[[], bool], what: str, timeout_s: float = 3600) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            sys.exit(f"waited in vain for {what}")
        time.sleep(0.2)


def done(out: Path) -> int:
    return len(list(out.glob("*/instances/*.npz")))


def alike(one: Path, other: Path) -> bool:
    """Return whether two output folders hold the same results: all files but those that tell of the run itself."""
    slides = sorted(path.parent.name for path in one.glob("*/slide.json"))
    files = [f"{slide}/{name}" for slide in slides for name in RESULTS]
    files += [str(path.relative_to(one)) for path in sorted(one.glob("*/instances/*.npz"))]
    same = [name for name in files if (other / name).is_file() and same_bytes(one / name, other / name)]
    for name in sorted(set(files) - set(same)):
        print(f"  {name} differs")
    return len(same) == len(files) and rows(one) == rows(other) and not list(other.rglob("*.tmp"))


def same_bytes(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def rows(out: Path) -> list[list[str]]:
    """Return the summary without the column of seconds."""
    lines = [line.split(",") for line in (out / "summary.csv").read_text(encoding="utf-8").splitlines()]
    column = lines[0].index("seconds")
    return [line[:column] + line[column + 1 :] for line in lines]


@contextmanager
def slurm(folder: Path) -> Iterator[None]:
    """Run a SLURM of one node, which listens on this machine alone and ends with the block."""
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(folder=folder), encoding="ascii")
    os.environ["SLURM_CONF"] = str(conf)
    folder.chmod(0o755)
    folder.parent.chmod(0o755)  # munge trusts no socket that others cannot reach
    names = ("key-file", "key"), ("socket", "sock"), ("pid-file", "pid"), ("log-file", "log"), ("seed-file", "seed")
    paths = [f"--{option}={folder}/munge.{ending}" for option, ending in names]
    with ExitStack() as programs:
        for command in (
            ["munged", "--foreground", "--force", *paths],
            ["slurmctld", "-D", "-c", "-f", str(conf)],
            ["slurmd", "-D", "-N", "localhost", "-f", str(conf)],
        ):
            program = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            programs.callback(program.wait)
            programs.callback(program.terminate)
            time.sleep(1)
        until(lambda: "idle" in run("sinfo", "--noheader"), "SLURM's node", 60)
        try:
            yield
        finally:
            run("scancel", "--user=root")
            until(lambda: not run("squeue", "--noheader").strip(), "the end of all jobs", 60)


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
