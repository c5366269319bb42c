"""Quantised weights are close to what they were, are made once, and are made again if damaged."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_nerllm.generation.calibration import example_tokens, measure_peaks
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.merging import choose_precision, merge
from spacy_nerllm.generation.network import Network, Run
from spacy_nerllm.generation.onednn import ONEDNN_IS_FAST, OneDnnInt8
from spacy_nerllm.generation.projections import Int8
from spacy_nerllm.generation.quantization import quantize, smooth, smoothing, widen
from spacy_nerllm.generation.weights import fuse_weights, shape_of

SIZES = st.tuples(st.integers(1, 9), st.sampled_from([2, 30, 32, 64]), st.integers(0, 99))


def _matrix(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.randn((rows, columns), generator=torch.Generator().manual_seed(seed))


@given(SIZES)
def test_8_bits_are_off_by_half_a_step_at_the_most(size: Any):
    matrix = _matrix(*size)
    stored = quantize({"0.down": matrix}, "int8")
    scales = stored["0.down.scales"][:, None]
    assert stored["0.down"].dtype == torch.int8
    assert ((stored["0.down"] * scales - matrix).abs() <= scales * 0.501).all()


@given(SIZES)
def test_4_bits_are_off_by_about_half_a_step_of_their_group(size: Any):
    matrix = _matrix(*size)
    stored = quantize({"0.down": matrix}, "int4")
    assert stored["0.down"].dtype == torch.uint8
    assert stored["0.down"].numel() * 2 == matrix.numel()
    wide = widen(stored)
    back = wide["0.down"] * wide["0.down.scales"][:, None]
    # Half a step of 4 bits, half a step of 8, and what float16 loses of scale and least value.
    step = (matrix.amax(1) - matrix.amin(1)) / 15
    assert ((back - matrix).abs() <= step[:, None] * 0.62 + 0.01).all()


@given(st.integers(0, 99))
@settings(max_examples=20)
def test_knowing_what_is_read_makes_4_bits_better(seed: int):
    mixed = _matrix(8, 64, seed)
    states = _matrix(200, 8, seed + 1) @ mixed + 0.1 * _matrix(200, 64, seed + 2)
    matrix = _matrix(24, 64, seed + 3)
    errors = []
    for moments in (None, {"0.down": states.T @ states}):
        wide = widen(quantize({"0.down": matrix}, "int4", moments))
        back = wide["0.down"] * wide["0.down.scales"][:, None]
        errors.append(float((states @ (back - matrix).T).norm()))
    assert errors[1] < 0.8 * errors[0]


def test_a_row_of_zeros_stays_one():
    zeros = torch.zeros((3, 64))
    for bits in ("int8", "int4"):
        assert not widen(quantize({"0.qkv": zeros}, bits))["0.qkv"].any()


@pytest.fixture(params=[Int8, OneDnnInt8])
def kind(request: pytest.FixtureRequest) -> Any:
    if request.param is OneDnnInt8 and not ONEDNN_IS_FAST:
        pytest.skip("oneDNN is not used on this processor")
    return request.param


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_close(kind: Any, dtype: torch.dtype):
    matrix, states, bias = _matrix(48, 64, 0), _matrix(7, 64, 1), _matrix(1, 48, 2)[0]
    stored = quantize({"0.down": matrix}, "int8")
    product = kind(stored["0.down"], stored["0.down.scales"], bias)(states.to(dtype))
    assert product.dtype == torch.float32
    # One that overflowed would be far off.
    assert (product - (states @ matrix.T + bias)).abs().max() < 0.5


def test_a_copy_multiplies_as_well(kind: Any):
    stored = quantize({"0.down": _matrix(48, 64, 0)}, "int8")
    projection = kind(stored["0.down"], stored["0.down.scales"])
    states = _matrix(2, 64, 1)
    torch.testing.assert_close(copy.deepcopy(projection)(states), projection(states))


def test_a_state_of_zeros_gives_the_bias(kind: Any):
    stored = quantize({"0.down": _matrix(48, 64, 0)}, "int8")
    bias = _matrix(1, 48, 2)[0]
    product = kind(stored["0.down"], stored["0.down.scales"], bias)(torch.zeros((2, 64)))
    torch.testing.assert_close(product, bias.expand(2, -1))


def test_a_state_hardly_depends_on_its_neighbours(kind: Any):
    stored = quantize({"0.down": _matrix(48, 64, 0)}, "int8")
    projection = kind(stored["0.down"], stored["0.down.scales"])
    states = _matrix(2, 64, 1)
    torch.testing.assert_close(
        projection(torch.cat([states, states[:1] * 1000]))[:2], projection(states), atol=0.2, rtol=0
    )


def test_smoothing_changes_no_score(tiny_base: Path, tiny_adapter: Path, tiny_tokenizer: Any):
    model = merge(resolve_base(str(tiny_base)), tiny_adapter)
    examples = list(example_tokens(tiny_tokenizer, "Find names."))
    peaks = measure_peaks(model, examples)
    assert len(peaks) == 3 * model.config.num_hidden_layers
    plain = fuse_weights(model)
    smoothed = smooth(plain, smoothing(plain, peaks))
    networks = [Network(weights, shape_of(model)) for weights in (plain, smoothed)]
    with torch.inference_mode():
        before, after = (
            network.scores(
                network.states([Run(examples[0], 0)], network.new_store(1, len(examples[0])), 0)
            )
            for network in networks
        )
    torch.testing.assert_close(before, after, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("amx", [False, True])
def test_scores_in_8_bits_are_close(
    tiny_base: Path,
    tiny_adapter: Path,
    tiny_tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
    amx: bool,
):
    """Tokens of no account, which fill tiles up, change nothing."""
    monkeypatch.setattr("spacy_nerllm.generation.network.HAS_AMX", amx)
    model = merge(resolve_base(str(tiny_base)), tiny_adapter)
    tokens = list(example_tokens(tiny_tokenizer, "Find names."))[0][:37]
    plain = fuse_weights(model)
    scores = []
    for weights in (plain, quantize(plain, "int8")):
        network = Network(weights, shape_of(model))
        store = network.new_store(2, 40)
        with torch.inference_mode():
            network.states([Run(tokens[:30], 0), Run([5], 0)], store, 0)
            scores.append(network.scores(network.states([Run(tokens[30:], 30)], store, 0)))
    exact, rounded = scores
    assert rounded.shape == exact.shape
    assert (rounded - exact).norm() < 0.1 * exact.norm()


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("SPACY_NERLLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "quantized"


def _load(base: Path, adapter: Path, bits: str) -> LocalGenerator:
    return LocalGenerator.load(str(base), adapter, "cpu", "auto", bits)


@pytest.mark.parametrize("bits", ["int8", "int4"])
def test_it_is_merged_once(
    tiny_base: Path,
    tiny_adapter: Path,
    cache: Path,
    bits: str,
    monkeypatch: pytest.MonkeyPatch,
):
    first = _load(tiny_base, tiny_adapter, bits)
    monkeypatch.setattr("spacy_nerllm.generation.merging.merge", None)
    again = _load(tiny_base, tiny_adapter, bits)
    prompts = [first.render("Marie Curie was born in Warsaw.", None)]
    answers = [
        generator.generate(prompts, None, max_new_tokens=20, batch_tokens=1000)
        for generator in (first, again)
    ]
    assert answers[0] == answers[1]


def test_what_is_damaged_is_made_again(tiny_base: Path, tiny_adapter: Path, cache: Path):
    _load(tiny_base, tiny_adapter, "int8")
    (model,) = cache.glob("*/model.safetensors")
    whole = model.read_bytes()
    model.write_bytes(whole[:-1])
    _load(tiny_base, tiny_adapter, "int8")
    assert model.read_bytes() == whole


def test_a_folder_that_cannot_be_written_is_done_without(
    tiny_base: Path,
    tiny_adapter: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
):
    def refuse(*arguments: Any) -> None:
        raise PermissionError("read-only")

    monkeypatch.setattr("spacy_nerllm.generation.merging.keep", refuse)
    _load(tiny_base, tiny_adapter, "int8")
    assert "SPACY_NERLLM_CACHE" in caplog.text


def test_precision_follows_the_settings():
    assert choose_precision("cpu", "auto", "auto") == ("cpu", torch.float32, "int8")
    assert choose_precision("cpu", "float32", "auto") == ("cpu", torch.float32, None)
    assert choose_precision("cpu", "auto", "none") == ("cpu", torch.float32, None)
    assert choose_precision("cpu", "float32", "int4") == ("cpu", torch.float32, "int4")
    assert choose_precision("cuda", "bfloat16", "auto") == ("cuda", torch.bfloat16, None)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cuda", "auto"), ("cpu", "bfloat16"), ("mps", "float32")]
)
def test_quantising_elsewhere_is_refused(device: str, dtype: str):
    with pytest.raises(ValueError, match="quantize='int8'"):
        choose_precision(device, dtype, "int8")
