"""The sentence that tells where the time went, and the sums that it is made from."""

from __future__ import annotations

import pytest

from pathopipe.bottleneck import bottleneck
from pathopipe.progress import Silent
from pathopipe.record import WORKER_STAGES, Clock
from pathopipe.stopwatch import Spent

CELLS = {"open": 0.1, "tissue": 1.0, "cells": 60.0, "stitch": 1.0, "write": 2.0}
WORKED = {"decode": Spent(10, 9), "infer": Spent(82, 80), "post": Spent(8, 8)}


def worked(**changed: tuple[float, float]) -> dict[str, Spent]:
    return {**WORKED, **{stage: Spent(*spent) for stage, spent in changed.items()}}


@pytest.mark.parametrize(
    ("stages", "gpu", "told"),
    [
        (worked(), False, "The network took 82% of the workers' time: a GPU, or more cores and workers, would help."),
        (worked(), True, "more GPUs, or a larger batch"),
        (worked(decode=(210, 200)), False, "Decoding the slide took 70% of the workers' time: more workers would help"),
        (worked(decode=(210, 30)), False, "the processor was busy for 14% of that alone: a faster disk or network"),
        (worked(wait=(200, 0)), False, "The workers waited for 67% of the workers' time: larger tiles"),
        (worked(idle=(200, 0)), False, "The workers had nothing to do for 67%"),
        (worked(store=(200, 9)), False, "store.keep: false"),
        (worked(infer=(82, 20), post=(8, 2)), False, "2 workers each had 24% of a core"),
        (worked(dreaming=(200, 9)), False, "dreaming took 67% of the workers' time"),
    ],
)
def test_the_stage_that_took_most_is_named_with_what_helps(stages, gpu, told):
    assert told in bottleneck(CELLS, stages, 2, gpu)


def test_a_slow_disk_is_told_from_a_processor_that_others_use():
    shared = worked(decode=(300, 60), infer=(82, 16), post=(8, 2))
    told = bottleneck(CELLS, shared, 2, gpu=False)
    assert "Decoding the slide took" in told
    assert "20% of a core" in told


def test_what_one_process_does_alone_is_told_so():
    told = bottleneck({**CELLS, "tissue": 90.0}, WORKED, 2, gpu=False)
    assert told == (
        "Finding the tissue on the slide's overview took 59% of the time, in one process: more workers would not help."
    )
    assert "Writing the results took 96%" in bottleneck({"tissue": 0.1, "cells": 0.0, "write": 2.4}, {}, 2, gpu=False)


def test_nothing_is_told_of_a_moment():
    assert bottleneck({"open": 0.1, "tissue": 0.2}, {}, 1, gpu=False) == ""
    assert bottleneck({"cells": 5.0}, {}, 1, gpu=False) == ""


def test_the_rest_of_the_workers_time_is_idle_and_the_stages_are_in_order():
    clock = Clock(Silent())
    for _ in range(2):
        clock.worked({"infer": Spent(2, 1.5), "dreaming": Spent(1, 0), "decode": Spent(1, 1), "wait": Spent(0.5, 0)})
    clock.seconds |= {"cells": 10.0}
    told = clock.told(2, gpu=False)
    assert told["workers"] == 2
    assert told["worker_seconds"] == {
        "decode": 2, "wait": 1, "infer": 4, "idle": 11, "dreaming": 2,
    }  # fmt: skip
    assert sum(told["worker_seconds"].values()) == 2 * 10
    assert told["worker_cpu_seconds"] == {"decode": 2, "infer": 3, "dreaming": 0}
    assert [stage for stage in told["worker_seconds"] if stage in WORKER_STAGES] == ["decode", "wait", "infer", "idle"]


def test_a_worker_that_outlived_a_run_has_not_waited_longer_than_there_was():
    clock = Clock(Silent())
    clock.worked({"infer": Spent(8, 8), "wait": Spent(3600, 0)})
    clock.seconds |= {"cells": 10.0}
    assert clock.told(1, gpu=False)["worker_seconds"] == {"wait": 2, "infer": 8, "idle": 0}


def test_without_tiles_to_do_nothing_is_told_of_workers():
    clock = Clock(Silent())
    with clock.stage("tissue"):
        pass
    assert list(clock.seconds) == ["open", "tissue"]
    assert clock.told(2, gpu=False) == {"seconds": clock.seconds, "bottleneck": ""}
