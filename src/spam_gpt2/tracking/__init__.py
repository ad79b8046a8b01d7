"""MLflow: a run for each execution, the registered model, and what serves it.

Imports: common, gpt2, data, classifier, evaluation.
"""
