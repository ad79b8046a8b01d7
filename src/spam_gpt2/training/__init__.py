"""The training loop and its recipes.

Imports: common, gpt2, features.
"""
