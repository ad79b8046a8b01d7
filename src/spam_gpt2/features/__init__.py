"""The frozen blocks' output for every message, computed once and kept.

Imports: common, gpt2, data.
"""
