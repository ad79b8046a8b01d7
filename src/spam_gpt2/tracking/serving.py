"""The classifier as an MLflow model: the file that MLflow runs to load it.

MLflow copies this file beside the artifacts and runs the copy ("models from code"), so that nothing
is pickled. `spam_gpt2.tracking.registry` logs it.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, Schema

from spam_gpt2.classifier.artifacts import CARD_FILE
from spam_gpt2.classifier.decision import DECISION_FILE
from spam_gpt2.classifier.predict import shared_predictor
from spam_gpt2.gpt2.config import CONFIG_FILE


class SpamClassifier(PythonModel):
    """Texts in, labels and probabilities out, by the same code as the command line."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load classifier, weights, vocabulary and decision; the artifacts are files, so named."""
        paths = {name: Path(path) for name, path in context.artifacts.items()}
        classifier_dir, weights_dir = (paths[file].parent for file in (CARD_FILE, CONFIG_FILE))
        decision_dir = paths[DECISION_FILE].parent if DECISION_FILE in paths else None
        self.predictor = shared_predictor(classifier_dir, weights_dir, decision_dir)

    def predict(self, model_input: pd.DataFrame) -> pd.DataFrame:
        """The label of each text and the probabilities, row by row.

        The label follows the decision that was registered with the classifier, whose zone gives
        `unsure`; without one it is the most probable label.

        Args:
            model_input: column `text`; MLflow makes it of a list of strings, too.

        Returns: columns label, probability (of that label, of `unsure` that of the more probable
            one) and probability_<label> of every label.

        Raises: MlflowException, which a server answers with status 400, when a text is missing.
        """
        missing = model_input["text"].isna().to_numpy().nonzero()[0]
        if len(missing):
            raise MlflowException.invalid_parameter_value(
                f"row {missing[0]}: no text (read as CSV, words such as NA are missing values)"
            )
        labels = self.predictor.card.labels
        rows = [
            (prediction.label, prediction.probability, *prediction.probabilities)
            for prediction in self.predictor.predict(model_input["text"])
        ]
        return pd.DataFrame(rows, columns=output_columns(labels))


def output_columns(labels: list[str]) -> list[str]:
    """Names of the columns that `predict` returns."""
    return ["label", "probability", *(f"probability_{label}" for label in labels)]


def signature(labels: list[str]) -> ModelSignature:
    """Types of the columns that `predict` takes and returns, for MLflow to check requests by."""
    label, *probabilities = output_columns(labels)
    outputs = [ColSpec("string", label), *(ColSpec("double", name) for name in probabilities)]
    return ModelSignature(Schema([ColSpec("string", "text")]), Schema(outputs))


set_model(SpamClassifier())
