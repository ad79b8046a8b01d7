"""The messages: where they come from, how they are read, balanced and split.

Imports: common.
"""
