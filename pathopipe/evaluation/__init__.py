"""How well predicted nuclei agree with the truth, or several raters with each other."""

from pathopipe.evaluation.agreement import THRESHOLDS, Agreement, evaluate_labels, evaluate_outlines, pooled
from pathopipe.evaluation.files import evaluate_files
from pathopipe.evaluation.pairs import EvaluationError
from pathopipe.evaluation.result import Difference, EvaluationResult, as_text, difference_text, errors_text

__all__ = [
    "THRESHOLDS",
    "Agreement",
    "Difference",
    "EvaluationError",
    "EvaluationResult",
    "as_text",
    "difference_text",
    "errors_text",
    "evaluate_files",
    "evaluate_labels",
    "evaluate_outlines",
    "pooled",
]
