"""What people read: the summary, the report page, the model card, the pull request's comment.

Imports: common, figures, evaluation.
"""
