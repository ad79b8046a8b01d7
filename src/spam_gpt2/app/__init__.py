"""The web page on which people classify messages and say what is wrong.

Imports: common, data, classifier, evaluation.
"""
