"""GPT-2 and its classification head, its tokenizer, and the files that OpenAI publishes.

Imports: common.
"""
