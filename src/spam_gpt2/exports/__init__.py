"""The classifier in the forms that other programs read: a Hugging Face folder, and ONNX.

Imports: common, gpt2, data, features, classifier.
"""
