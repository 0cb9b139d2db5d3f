"""``make bench``: every benchmark that can run here, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
DATA = Path(os.environ.get("PATHOPIPE_TEST_DATA", HERE.parents[1] / "shared" / "data"))

print("== seams: cells at tile borders, bytes of several workers, memory ==", flush=True)
subprocess.run([sys.executable, HERE / "seams.py", "--size", "8000"], check=True)
print("== kill: SIGKILL in the middle, and the same command again ==", flush=True)
subprocess.run([sys.executable, HERE / "kill.py", "--size", "8000"], check=True)
print("== cost: the model on one CPU thread ==", flush=True)
subprocess.run([sys.executable, HERE / "cost.py"], check=True)
print("== accuracy: the shipped model beside the classical baseline ==", flush=True)
if (DATA / "eval").is_dir():
    for script in ("accuracy.py", "accuracy_run.py"):
        subprocess.run([sys.executable, HERE / script, "--data", DATA], check=True)
    print("== robustness and calibration: a few images; docs/robustness.md has all ==", flush=True)
    for script in ("robustness.py", "calibration.py"):
        subprocess.run([sys.executable, HERE / script, "--data", DATA, "--images", "2", "--no-page"], check=True)
else:
    print(f"skipped: no evaluation images at {DATA / 'eval'} (set PATHOPIPE_TEST_DATA)")
print("== artefacts: pens, folds, pigment called nuclei; clean tissue lost ==", flush=True)
subprocess.run([sys.executable, HERE / "artefacts.py", "--data", DATA], check=True)
