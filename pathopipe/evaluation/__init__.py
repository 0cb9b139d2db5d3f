"""How well predicted nuclei agree with the truth: from label images, polygons, or files of them."""

from pathopipe.evaluation.agreement import (
    THRESHOLDS,
    Agreement,
    EvaluationError,
    EvaluationResult,
    evaluate_labels,
    evaluate_outlines,
    pooled,
)
from pathopipe.evaluation.files import as_text, evaluate_files

__all__ = [
    "THRESHOLDS",
    "Agreement",
    "EvaluationError",
    "EvaluationResult",
    "as_text",
    "evaluate_files",
    "evaluate_labels",
    "evaluate_outlines",
    "pooled",
]
