"""Pictures, in one style.

Imports: common.
"""
