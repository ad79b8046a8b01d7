"""Fine-tune GPT-2 into an SMS spam classifier, reproducibly."""
