"""A comparison of raters as tables for people."""

from __future__ import annotations

from pathopipe.evaluation.comparison import Comparison, TwoRaters
from pathopipe.evaluation.kappa import Kappa
from pathopipe.evaluation.raters import NONE


def comparison_text(comparison: Comparison) -> str:
    """Return counts, the agreement of every two raters with their table of classes, and that of all."""
    blocks = [_counts(comparison), *(_pair(pair) for pair in comparison.pairs), _fleiss(comparison)]
    return "\n\n".join(blocks)


def _counts(comparison: Comparison) -> str:
    rows = [["rater", "nuclei", *comparison.classes]]
    for rater in comparison.raters:
        counts = [int((rater.classes == name).sum()) for name in comparison.classes]
        rows.append([rater.name, f"{len(rater):,}", *(f"{count:,}" for count in counts)])
    return (
        f"{_table(rows)}\nnuclei that anyone outlined: {len(comparison.members):,}; all outlined "
        f"{comparison.by_all.sum():,}, and gave the same class to {comparison.agreed.sum():,}"
    )


def _pair(pair: TwoRaters) -> str:
    figures, reverse = pair.figures, pair.reverse
    head = (
        f"{pair.first} and {pair.second}: {figures.true_positives:,} nuclei of both, {figures.false_positives:,} of "
        f"{pair.first} alone, {figures.false_negatives:,} of {pair.second} alone\n"
        f"outlines  F1 {_number(figures.f1)}  PQ {_number(figures.pq)}  SQ {_number(figures.sq)}  "
        f"AJI {_number(reverse.aji)} / {_number(figures.aji)} (the first / the second as truth)  "
        f"AJI+ {_number(figures.aji_plus)}  Dice {_number(figures.dice)}"
    )
    rows = [["class", "F1", "kappa of all", "kappa of matched"]]
    rows += [
        [name, _number(pair.f1_of(name)), _told(kappas.with_none), _told(kappas.matched)]
        for name, kappas in ((name, pair.kappa_of(name)) for name in pair.classes)
    ]
    rows.append(["Cohen, all classes", "", _told(pair.kappa.with_none), _told(pair.kappa.matched)])
    names = [*pair.classes, NONE]
    table = [[f"{pair.first} \\ {pair.second}", *names]]
    table += [[name, *(f"{count:,}" for count in counts)] for name, counts in zip(names, pair.table, strict=True)]
    table[-1][-1] = "–"  # what nobody outlined cannot be counted
    return f"{head}\n{_table(rows)}\n{_table(table)}"


def _fleiss(comparison: Comparison) -> str:
    rows = [["Fleiss' kappa", "of all", "of matched"]]
    rows += [
        [name, _told(kappas.with_none), _told(kappas.matched)]
        for name, kappas in ((name, comparison.fleiss_of(name)) for name in comparison.classes)
    ]
    rows.append(["all classes", _told(comparison.fleiss.with_none), _told(comparison.fleiss.matched)])
    reasons = {kappa.reason: None for kappa in (comparison.fleiss.with_none, comparison.fleiss.matched) if kappa.reason}
    told = [
        f'of all: every nucleus that anyone outlined, "{NONE}" to those who did not; of matched: outlined by every '
        "rater in question"
    ]
    if len(comparison.classes) < 2:
        told.append("with one class alone no kappa can be above 0: the F1 says how well the raters agree")
    return "\n".join([_table(rows), *told, *(f"–: {reason}" for reason in reasons)])


def _number(figure: float | None) -> str:
    return "–" if figure is None else f"{figure:.3f}"


def _told(kappa: Kappa) -> str:
    return _number(kappa.value)


def _table(rows: list[list[str]]) -> str:
    """Return ``rows`` with columns of one width: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for first, *others in rows:
        cells = [cell.rjust(wide) for cell, wide in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
    return "\n".join(lines)
