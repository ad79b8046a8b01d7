"""How good the classifier and the baseline are, and where they fail.

Imports: common, gpt2, features, classifier, training, figures.
"""
