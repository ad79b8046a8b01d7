"""What to see in each picture, in one sentence."""

from __future__ import annotations

_MODELS = {"gpt2": "classifier", "baseline": "baseline"}

# By the picture's path below plots/ or reports/, without its ending.
CAPTIONS = {
    "compare/roc": "The nearer a curve comes to the upper left corner, the more of a class it "
    "finds at the same false-positive rate; the dotted diagonal is chance.",
    "compare/precision_recall": "The nearer a curve stays to the upper right corner, the fewer "
    "false alarms it costs to find more of a class; the dotted line is chance.",
    "compare/test": "Only the two cells off the diagonal tell the classifier from the baseline: "
    "there, one is right and the other wrong.",
    "calibrate/reliability": "Points on the diagonal are probabilities that come true as often as "
    "they say; the bars below count the messages behind each point, and few mean little.",
    "calibrate/prevalence": "Find the share of your messages at the left: where the last bar is "
    "much shorter than the one of the saved decision, set the parameter prevalence to that share.",
    "finetune/loss": "When the loss of validation rises while that of train still falls, the "
    "classifier learns its training messages by heart.",
    "finetune/accuracy": "The distance between the lines is what the classifier knows of its "
    "training messages alone.",
    "learning_curve/accuracy": "Where a line still rises at its right end, more labelled messages "
    "would help; the bands reach from the worst to the best repeat.",
    "cross_validate/folds": "Trust the means and their thick lines more than any one test set: the "
    "thin marks show how far a single fold can be off.",
    "robustness/robustness": "A bar that is shorter than the one on top shows what this way of "
    "writing costs.",
    "external/external": "Where a dot lies left of the same one on our own test, messages from "
    "elsewhere are harder; the lines are intervals, and long ones mean few messages.",
    "explain/tokens": "The longer a bar, the more the token spoke for the class that was "
    "predicted, and wrongly so.",
    "experiments": "Where intervals overlap widely, the test set is too small to tell which "
    "experiment is better.",
    "seeds": "The spread of the dots is what chance in the training alone does to the accuracy.",
}
CAPTIONS |= {
    f"{folder}/confusion_{split}{ending}": f"{what} on the diagonal are right; every other cell is "
    f"a kind of mistake that the {model} makes on {split}."
    for folder, model in _MODELS.items()
    for split in ("train", "validation", "test")
    for ending, what in (("", "Messages"), ("_normalized", "Shares of each true class"))
}
CAPTIONS |= {
    f"{folder}/{curve}": CAPTIONS[f"compare/{curve}"]
    for folder in _MODELS
    for curve in ("roc", "precision_recall")
}
