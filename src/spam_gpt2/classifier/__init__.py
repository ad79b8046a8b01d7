"""The trained classifier: what of it is trained, its file, its answers and the reasons for them.

Imports: common, gpt2, features.
"""
