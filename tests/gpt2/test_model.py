"""Our GPT-2 says what transformers' GPT-2 says, whatever the size, and looks at nothing ahead."""

from __future__ import annotations

import csv
import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MINI_DIR, ROOT
from torch import Tensor
from transformers import GPT2Config as ReferenceConfig
from transformers import GPT2LMHeadModel

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.model import GPT2, expected_shapes, gpt2_from_weights, init_weights
from spam_gpt2.gpt2.ragged import pad_runs, pick_one, runs_of, split_runs
from spam_gpt2.gpt2.tf_checkpoint import read_checkpoint, write_checkpoint
from spam_gpt2.gpt2.tokenizer import load_tokenizer

REAL_DIR = ROOT.parent / "shared/data/gpt2-124M"
SMS_PATH = ROOT.parent / "shared/data/sms/SMSSpamCollection"

# Width, heads and blocks in all kinds of proportions; the last but one has the width of 124M.
SIZES = {
    "one block, one head": GPT2Config(n_vocab=11, n_ctx=7, n_embd=4, n_head=1, n_layer=1),
    "a head a unit": GPT2Config(n_vocab=97, n_ctx=16, n_embd=6, n_head=6, n_layer=2),
    "odd width": GPT2Config(n_vocab=50, n_ctx=33, n_embd=15, n_head=3, n_layer=5),
    "width of 124M": GPT2Config(n_vocab=300, n_ctx=1024, n_embd=768, n_head=12, n_layer=2),
    "many blocks": GPT2Config(n_vocab=64, n_ctx=24, n_embd=32, n_head=4, n_layer=12),
}
REAL_VOCABULARY = GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=24, n_head=4, n_layer=3)


@dataclass
class Pair:
    """Our model and the reference, each on its own reading of one checkpoint."""

    ours: GPT2
    reference: GPT2LMHeadModel


def random_weights(config: GPT2Config) -> dict[str, np.ndarray]:
    """Every tensor drawn anew, norms and biases too, so that no mix-up can hide behind 0 or 1."""
    random = np.random.default_rng(config.n_embd)
    weights = {}
    for name, shape in expected_shapes(config).items():
        value = random.standard_normal(shape, dtype=np.float32)
        if len(shape) == 2:
            value *= shape[1] ** -0.5  # logits of about 1
        else:
            value *= 0.3
            value += 1.0 if name.endswith(("ln_1.weight", "ln_2.weight", "ln_f.weight")) else 0.0
        weights[name] = value
    return weights


def reference_from_checkpoint(folder: Path, config: GPT2Config) -> GPT2LMHeadModel:
    """transformers' GPT-2 with TensorFlow's variables, put under its names by hand.

    Its Conv1D keeps (in, out), as OpenAI's convolutions do behind their first axis.
    """
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(folder / "model.ckpt"))
    weights = {}

    def take(theirs: str, openai: str) -> None:
        array = reader.get_tensor(f"model/{openai}")
        weights[f"transformer.{theirs}"] = torch.from_numpy(array[0] if array.ndim == 3 else array)

    take("wte.weight", "wte")
    take("wpe.weight", "wpe")
    take("ln_f.weight", "ln_f/g")
    take("ln_f.bias", "ln_f/b")
    for i in range(config.n_layer):
        for norm in ("ln_1", "ln_2"):
            take(f"h.{i}.{norm}.weight", f"h{i}/{norm}/g")
            take(f"h.{i}.{norm}.bias", f"h{i}/{norm}/b")
        for layer in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"):
            take(f"h.{i}.{layer}.weight", f"h{i}/{layer.replace('.', '/')}/w")
            take(f"h.{i}.{layer}.bias", f"h{i}/{layer.replace('.', '/')}/b")
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    model = GPT2LMHeadModel(
        ReferenceConfig(
            vocab_size=config.n_vocab,
            n_positions=config.n_ctx,
            n_embd=config.n_embd,
            n_head=config.n_head,
            n_layer=config.n_layer,
            activation_function="gelu_new",
            layer_norm_epsilon=1e-5,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="eager",
        )
    )
    model.load_state_dict(weights)
    return model.eval()


def write_and_read(folder: Path, config: GPT2Config) -> Pair:
    write_checkpoint(folder, config, random_weights(config), MINI_DIR)
    config_read, arrays = read_checkpoint(folder)
    assert config_read == config
    ours = gpt2_from_weights(config, {name: torch.from_numpy(a) for name, a in arrays.items()})
    return Pair(ours, reference_from_checkpoint(folder, config))


@pytest.fixture(scope="module", params=SIZES, ids=[size.replace(" ", "_") for size in SIZES])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return write_and_read(tmp_path_factory.mktemp("size"), SIZES[request.param])


@pytest.fixture(scope="module")
def real_vocabulary_pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    if not REAL_DIR.is_dir():
        pytest.skip("no folder with GPT-2's own vocabulary beside the repository")
    return write_and_read(tmp_path_factory.mktemp("real"), REAL_VOCABULARY)


def random_tokens(config: GPT2Config, *shape: int) -> Tensor:
    return torch.randint(config.n_vocab, shape, generator=torch.Generator().manual_seed(7))


def assert_same_logits(pair: Pair, tokens: Tensor) -> None:
    with torch.inference_mode():
        ours, theirs = pair.ours(tokens), pair.reference(tokens).logits
    assert theirs.std() > 0.1  # else a tolerance of 1e-4 would show little
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_logits_are_those_of_transformers(pair: Pair) -> None:
    for tokens in (1, 2, min(64, pair.ours.config.n_ctx)):
        assert_same_logits(pair, random_tokens(pair.ours.config, 3, tokens))


def test_logits_are_those_of_transformers_over_the_whole_context(pair: Pair) -> None:
    assert_same_logits(pair, random_tokens(pair.ours.config, 1, pair.ours.config.n_ctx))


def test_a_text_longer_than_the_context_is_refused(pair: Pair) -> None:
    n_ctx = pair.ours.config.n_ctx
    with pytest.raises(InputError) as caught:
        pair.ours(random_tokens(pair.ours.config, 1, n_ctx + 1))
    assert str(caught.value) == f"{n_ctx + 1} tokens do not fit the context of {n_ctx}"


def test_logits_agree_on_texts_in_the_real_vocabulary(real_vocabulary_pair: Pair) -> None:
    tokenizer = load_tokenizer(REAL_DIR)
    texts = [
        "Hello world",
        "Every effort moves you",
        "£1000 cash!!! Txt WIN to 80086 \N{PARTY POPPER}",
    ]
    if SMS_PATH.is_file():
        with SMS_PATH.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            texts += [text for _, text in rows][:1000:50]
    for text in texts:
        assert_same_logits(real_vocabulary_pair, torch.tensor([tokenizer.encode_ordinary(text)]))


def test_the_number_of_parameters_is_that_of_transformers(pair: Pair) -> None:
    assert pair.ours.config.n_parameters == pair.reference.num_parameters()
    assert pair.ours.config.n_parameters == sum(p.numel() for p in pair.ours.parameters())


def test_a_later_token_never_changes_an_earlier_logit(tiny_gpt2: GPT2) -> None:
    tokens = random_tokens(tiny_gpt2.config, 1, 12)
    with torch.inference_mode():
        before = tiny_gpt2(tokens)
        for at in range(tokens.shape[1]):
            changed = tokens.clone()
            changed[0, at] = (changed[0, at] + 1) % tiny_gpt2.config.n_vocab
            after = tiny_gpt2(changed)
            torch.testing.assert_close(after[:, :at], before[:, :at], atol=1e-6, rtol=0)
            differs = (after - before).abs().amax((0, 2)) > 1e-3
            assert differs[at:].all(), f"token {at} does not reach all that follow"


def test_without_the_causal_mask_every_token_reaches_every_other(tiny_gpt2: GPT2) -> None:
    tokens = random_tokens(tiny_gpt2.config, 12)
    runs = [(1, 12)]
    with torch.inference_mode():
        before = tiny_gpt2.run_blocks(tiny_gpt2.embed(tokens, runs), runs, causal=False)
        for at in range(len(tokens)):
            changed = tokens.clone()
            changed[at] = (changed[at] + 1) % tiny_gpt2.config.n_vocab
            after = tiny_gpt2.run_blocks(tiny_gpt2.embed(changed, runs), runs, causal=False)
            assert ((after - before).abs().amax(1) > 1e-3).all()


@pytest.mark.parametrize("causal", [True, False])
def test_messages_end_to_end_do_not_see_each_other(tiny_gpt2: GPT2, causal: bool) -> None:
    lengths = [3, 1, 7, 7, 3, 1, 1]
    messages = random_tokens(tiny_gpt2.config, sum(lengths)).split(lengths)

    def run(together: list[Tensor]) -> Tensor:
        runs = runs_of(len(message) for message in together)
        return tiny_gpt2.run_blocks(tiny_gpt2.embed(torch.cat(together), runs), runs, causal=causal)

    with torch.inference_mode():
        alone = torch.cat([run([message]) for message in messages])
        torch.testing.assert_close(run(list(messages)), alone, atol=1e-5, rtol=0)


def test_blocks_can_be_run_in_two_parts(tiny_gpt2: GPT2) -> None:
    runs = [(2, 5)]
    with torch.inference_mode():
        x = tiny_gpt2.embed(random_tokens(tiny_gpt2.config, 10), runs)
        whole = tiny_gpt2.run_blocks(x, runs)
        for cut in range(tiny_gpt2.config.n_layer + 1):
            below = tiny_gpt2.run_blocks(x, runs, 0, cut)
            torch.testing.assert_close(tiny_gpt2.run_blocks(below, runs, cut), whole)


def test_runs_divide_a_flat_tensor_into_messages_of_one_length() -> None:
    runs = runs_of([3, 3, 1, 3])
    assert runs == [(2, 3), (1, 1), (1, 3)]
    parts = split_runs(torch.arange(10)[:, None], runs)
    assert [part.flatten(1).tolist() for part in parts] == [
        [[0, 1, 2], [3, 4, 5]],
        [[6]],
        [[7, 8, 9]],
    ]


def test_runs_side_by_side_have_zeros_behind_and_say_where() -> None:
    padded, is_token = pad_runs(torch.arange(1, 7)[:, None], [(2, 1), (1, 3), (1, 1)])
    assert padded[..., 0].tolist() == [[1, 0, 0], [2, 0, 0], [3, 4, 5], [6, 0, 0]]
    assert torch.equal(padded[..., 0] > 0, is_token)


def test_the_first_and_the_last_token_of_each_message_are_picked() -> None:
    x, runs = torch.arange(6)[:, None], [(2, 1), (1, 3), (1, 1)]
    assert pick_one(x, runs, 0).tolist() == [[0], [1], [2], [5]]
    assert pick_one(x, runs, -1).tolist() == [[0], [1], [4], [5]]


def test_initial_weights_are_as_widely_spread_as_those_of_transformers() -> None:
    config = GPT2Config(n_vocab=2000, n_ctx=200, n_embd=64, n_head=4, n_layer=8)
    ours = GPT2(config)
    init_weights(ours, seed=1)
    torch.manual_seed(1)
    theirs = GPT2LMHeadModel(
        ReferenceConfig(vocab_size=2000, n_positions=200, n_embd=64, n_head=4, n_layer=8)
    )
    reference = dict(theirs.transformer.named_parameters())
    assert reference.keys() == dict(ours.named_parameters()).keys()
    for name, parameter in ours.named_parameters():
        if parameter.ndim == 1:
            assert torch.equal(parameter, reference[name]), name  # all 0, or all 1
            continue
        # The deviation of n draws strays by about 1 / sqrt(2 n) of itself: 4 of these for each.
        tolerance = 8 / math.sqrt(2 * parameter.numel())
        assert parameter.std().item() == pytest.approx(reference[name].std().item(), rel=tolerance)
        mean = parameter.mean().item()
        assert abs(mean) < 4 * parameter.std().item() / math.sqrt(parameter.numel())


def test_initial_weights_depend_on_the_seed_alone() -> None:
    config = SIZES["odd width"]

    def draw(seed: int, torch_seed: int) -> dict[str, Tensor]:
        torch.manual_seed(torch_seed)
        model = GPT2(config)
        init_weights(model, seed)
        return dict(model.named_parameters())

    first, again, other = draw(3, 0), draw(3, 1), draw(4, 0)
    for name, parameter in first.items():
        assert torch.equal(parameter, again[name])
        assert torch.equal(parameter, other[name]) == (parameter.ndim == 1)


def small_weights() -> tuple[GPT2Config, dict[str, Tensor]]:
    config = SIZES["one block, one head"]
    return config, {name: torch.zeros(shape) for name, shape in expected_shapes(config).items()}


def test_a_model_uses_the_given_tensors_without_a_copy() -> None:
    config, weights = small_weights()
    model = gpt2_from_weights(config, weights)
    for name, parameter in model.named_parameters():
        assert parameter.data_ptr() == weights[name].data_ptr()


@pytest.mark.parametrize("name", sorted(expected_shapes(SIZES["one block, one head"])))
def test_each_tensor_that_is_missing_or_of_another_shape_is_named(name: str) -> None:
    config, weights = small_weights()
    tensor = weights.pop(name)
    with pytest.raises(InputError) as caught:
        gpt2_from_weights(config, weights)
    assert str(caught.value) == f"weights: tensor {name} is missing"
    longer = torch.cat([tensor, tensor])
    with pytest.raises(InputError) as caught:
        gpt2_from_weights(config, weights | {name: longer})
    assert str(caught.value) == (
        f"weights: tensor {name} has shape {tuple(longer.shape)}, expected {tuple(tensor.shape)}"
    )


def test_a_tensor_too_many_is_named() -> None:
    config, weights = small_weights()
    with pytest.raises(InputError) as caught:
        gpt2_from_weights(config, weights | {"h.1.ln_1.bias": torch.zeros(4)})
    assert str(caught.value) == "weights: tensor h.1.ln_1.bias is not one of GPT-2's"


def test_weights_of_a_model_with_more_blocks_are_refused() -> None:
    config, weights = small_weights()
    with pytest.raises(InputError, match=r"tensor h\.1\..* is missing"):
        gpt2_from_weights(dataclasses.replace(config, n_layer=2), weights)
