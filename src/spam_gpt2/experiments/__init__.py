"""Named experiments: sets of overrides that DVC runs, and the table of what came out.

Imports: common, figures, evaluation.
"""
