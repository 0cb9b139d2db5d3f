"""Where the time of a slide went, in one sentence, and what would help."""

from __future__ import annotations

from collections.abc import Mapping

from pathopipe.stopwatch import Spent

_SHORT_S = 1.0
"""Below this nothing is worth telling."""
_HELD_UP = 0.5
"""A stage that had less of a processor than this waited for the disk, the network or other programs."""


def bottleneck(seconds: Mapping[str, float], worked: Mapping[str, Spent], workers: int, gpu: bool) -> str:
    """Return what took most of a slide's time and what would help; "" where it was done in a moment.

    Parameters
    ----------
    seconds : mapping
        Stage to seconds by the clock (``Record.seconds``); the workers are busy during "cells".
    worked : mapping
        Stage to what the workers spent on it, all together, with "wait" and "idle".
    workers : int
        How many there were.
    gpu : bool
        Whether the model ran on GPUs.
    """
    total, of_workers = sum(seconds.values()), sum(spent.seconds for spent in worked.values())
    if total < _SHORT_S:
        return ""
    if seconds.get("cells", 0.0) < total / 2 or of_workers <= 0:
        stage = max((name for name in seconds if name != "cells"), key=lambda name: seconds[name], default="")
        return _of_one_process(stage, seconds[stage] / total) if stage else ""
    stage = max(worked, key=lambda name: worked[name].seconds)
    share, spent = f"{worked[stage].seconds / of_workers:.0%} of the workers' time", worked[stage]
    busy, had = spent.cpu_seconds / spent.seconds, _had(worked)
    if stage == "decode" and busy < _HELD_UP * had:
        return (
            f"Reading the slide took {share}, and the processor was busy for {busy:.0%} of that alone: "
            "a faster disk or network, or a local copy of the slide, would help."
        )
    told = _OF_WORKERS[stage].format(share=share) if stage in _OF_WORKERS else f"{stage} took {share}."
    if stage == "infer":
        told = f"The network took {share}: {_faster_network(gpu)} would help."
    if had < _HELD_UP and not gpu:
        whose = f"{workers} workers each had" if workers > 1 else "The worker had"
        told += f" {whose} {had:.0%} of a core: other programs ran, or there are fewer cores than workers."
    return told


def _had(worked: Mapping[str, Spent]) -> float:
    """Return how much of a core a worker had while it did nothing but compute; 1 where that was too short to tell."""
    computed = [worked[stage] for stage in ("infer", "post") if stage in worked]
    seconds = sum(spent.seconds for spent in computed)
    return sum(spent.cpu_seconds for spent in computed) / seconds if seconds > _SHORT_S else 1.0


_OF_WORKERS = {
    "open": "Opening the slide and loading the model took {share}: many slides in one run share it.",
    "decode": "Decoding the slide took {share}: more workers would help.",
    "store": "Keeping the slide's pixels took {share}: a faster disk for the output would help, or doing without them "
    "(store.keep: false).",
    "post": "Finding the outlines in what the network says took {share}: more workers would help.",
    "save": "Writing the tiles' results took {share}: a faster disk for the output would help.",
    "other": "Writing the cells of the slide before took {share}: more workers would help.",
    "wait": "The workers waited for {share}: larger tiles (grid.tile_px) or more of them in flight (engine.in_flight) "
    "would help.",
    "idle": "The workers had nothing to do for {share}, while they started or the last of them finished: the slide is "
    "small for so many, and many slides in one run would use them better.",
}
"""What to tell of each stage of the workers."""


def _faster_network(gpu: bool) -> str:
    return "more GPUs, or a larger batch (model.batch_tiles)," if gpu else "a GPU, or more cores and workers,"


def _of_one_process(stage: str, share: float) -> str:
    """Return what to tell of a stage that the coordinating process does alone."""
    what = {
        "open": "Opening the slide",
        "tissue": "Finding the tissue on the slide's overview",
        "stitch": "Putting the tiles' cells together",
        "scale": "Checking the stated resolution",
        "write": "Writing the results",
    }.get(stage, stage)
    return f"{what} took {share:.0%} of the time, in one process: more workers would not help."
