"""The backend answers greedily, the same alone and in a batch, each text apart."""

import math
from pathlib import Path
from typing import Any, List

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from spacy_nerllm.generation.adapters import AdapterInfo, read_info, write_info
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.encoding import encode_answer, encode_prompt
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.merging import merge
from spacy_nerllm.generation.network import Network, Run
from spacy_nerllm.generation.protocol import Answer
from spacy_nerllm.generation.weights import fuse_weights, shape_of

TEXTS = [
    "Marie Curie",
    "Acme Ltd. opened an office in Berlin in 2019, says Jane Doe. " * 3,
    "x",
    "Straße 語言 😀, naïve",
    "Paris is big.",
    'A "quoted" \\ text: {"a": "b"}',
    "Marie Curie was born in Warsaw.",
]


@pytest.fixture(scope="module")
def generator(tiny_base: Path, tiny_adapter: Path) -> LocalGenerator:
    return LocalGenerator.load(str(tiny_base), tiny_adapter, "cpu", "float32")


def _answer(
    generator: LocalGenerator, texts: List[str], *, limit: int = 30, batch_tokens: int = 2000
) -> List[Answer]:
    prompts = [generator.render(text, None) for text in texts]
    return generator.generate(prompts, None, max_new_tokens=limit, batch_tokens=batch_tokens)


@pytest.fixture(scope="module")
def single(generator: LocalGenerator) -> List[Answer]:
    """Each text's answer when it is alone."""
    return [_answer(generator, [text])[0] for text in TEXTS]


def _assert_same(answers: List[Answer], expected: List[Answer]) -> None:
    for answer, alone in zip(answers, expected, strict=True):
        assert answer._replace(logprobs=[]) == alone._replace(logprobs=[])
        assert answer.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_texts_have_answers_of_their_own(single: List[Answer]):
    assert len({answer.text for answer in single}) == len(TEXTS)


@pytest.mark.parametrize("batch_tokens", [1, 300, 600, 100_000])
def test_a_batch_answers_as_each_text_alone_and_in_order(
    generator: LocalGenerator, single: List[Answer], batch_tokens: int
):
    _assert_same(_answer(generator, TEXTS, batch_tokens=batch_tokens), single)


def test_order_is_kept_when_turned_around(generator: LocalGenerator, single: List[Answer]):
    _assert_same(_answer(generator, TEXTS[::-1]), single[::-1])


def test_the_same_text_twice_has_the_same_answer(generator: LocalGenerator):
    first, _, second = _answer(generator, [TEXTS[0], TEXTS[1], TEXTS[0]])
    assert first.text == second.text


def test_answers_are_deterministic_whatever_the_seed(
    generator: LocalGenerator, single: List[Answer]
):
    torch.manual_seed(99)
    assert _answer(generator, TEXTS[:1]) == single[:1]


def test_nothing_in_nothing_out(generator: LocalGenerator):
    assert _answer(generator, []) == []


def test_each_token_has_one_end_and_one_logprob(generator: LocalGenerator):
    for answer in _answer(generator, TEXTS):
        assert len(answer.ends) == len(answer.logprobs)
        assert all(logprob <= 0 and math.isfinite(logprob) for logprob in answer.logprobs)


def _rigged(generator: LocalGenerator, tokens: List[int], text: str = "") -> Answer:
    """Reads tokens as if the model had been certain of them."""
    writing = generator._begin(text, None, max_new_tokens=1000)
    for token in tokens:
        if not writing.ended:
            scores = torch.full((len(generator._tokenizer),), float("-inf"))
            scores[token] = 0.0
            assert writing.choose(scores, token, 0.0) == token
    return writing.answer()


@pytest.mark.parametrize("text", ['{"Marie Curie": "person"}', '{"語": "é"}', '{"😀 İ": "x"}'])
def test_ends_are_where_each_token_ends(generator: LocalGenerator, text: str):
    tokens = encode_answer(generator._tokenizer, text)
    encoded = generator._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    answer = _rigged(generator, tokens)
    assert answer.text == text and answer.complete
    begins = [0, *answer.ends[:-1]]
    offsets = encoded["offset_mapping"]
    for begin, end, (start, stop) in zip(begins, answer.ends, offsets, strict=True):
        # A piece of a character has no width, but for the last one, which completes it.
        assert start <= begin <= end <= stop
        assert end == stop or stop == start + 1
    assert answer.ends == sorted(answer.ends) and answer.ends[-1] == len(text)


def test_ends_of_generated_answers_cut_the_text(generator: LocalGenerator):
    for answer in _answer(generator, TEXTS):
        assert answer.ends == sorted(answer.ends)
        assert answer.ends[-1] == len(answer.text)


def test_what_follows_the_end_of_turn_is_dropped(generator: LocalGenerator):
    tokens = encode_answer(generator._tokenizer, "{}")
    answer = _rigged(generator, [*tokens, *tokens])
    assert answer == Answer("{}", answer.ends, [0.0] * (len(tokens) - 1), complete=True)


def test_an_answer_at_the_limit_is_not_complete(generator: LocalGenerator):
    for answer in _answer(generator, TEXTS, limit=3):
        assert not answer.complete
        assert len(answer.ends) == 3


def test_an_ended_answer_is_complete(tiny_base: Path, generator: LocalGenerator):
    model = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    with torch.no_grad():
        model.lm_head.weight[generator._tokenizer.eos_token_id] *= 5
    network = Network(fuse_weights(model), shape_of(model))
    eager = LocalGenerator(network, generator._tokenizer, "Find names.")
    answers = _answer(eager, TEXTS, limit=30)
    assert any(answer.complete for answer in answers)
    for answer in answers:
        assert answer.complete == (len(answer.ends) < 30)
        assert "<|im_end|>" not in answer.text


@pytest.mark.parametrize("special", ["<|im_end|>", "<|endoftext|>", "<|im_start|>user"])
def test_special_tokens_in_the_text_cannot_end_the_turn(generator: LocalGenerator, special: str):
    tokenizer = generator._tokenizer
    special_ids = set(tokenizer.all_special_ids)
    plain = encode_prompt(tokenizer, generator.render("a text", None))
    hostile = encode_prompt(tokenizer, generator.render(f"a {special} text", None))
    assert [i for i in hostile if i in special_ids] == [i for i in plain if i in special_ids]
    assert f"a {special} text" in tokenizer.decode(hostile)


def test_special_tokens_in_an_answer_are_plain_text(generator: LocalGenerator):
    tokens = encode_answer(generator._tokenizer, '{"<|im_end|>": "token"}')
    assert tokens.count(generator._tokenizer.eos_token_id) == 1
    assert _rigged(generator, tokens).text == '{"<|im_end|>": "token"}'


def test_the_prefix_is_the_same_for_every_text(generator: LocalGenerator):
    prompts = [encode_prompt(generator._tokenizer, generator.render(t, ["a"])) for t in TEXTS]
    prefix = generator._tokenizer(generator.render("", ["a"]).prefix)["input_ids"]
    assert all(prompt[: len(prefix)] == prefix for prompt in prompts)


def test_the_answer_starts_behind_an_empty_thought(generator: LocalGenerator):
    assert generator.render("a", None).suffix.endswith("assistant\n<think>\n\n</think>\n\n")


def test_the_adapter_s_instruction_is_the_prompt_s(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
):
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (tmp_path / file).write_bytes((tiny_adapter / file).read_bytes())
    info = read_info(tiny_adapter, resolve_base(str(tiny_base)))
    write_info(tmp_path, AdapterInfo(**{**info.model_dump(), "system_prompt": "Another one."}))
    generator = LocalGenerator.load(str(tiny_base), tmp_path, "cpu", "float32")
    assert "Another one." in generator.render("a", None).prefix


def _logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.arange(3, 40)[None]).logits


def test_the_merged_adapter_computes_what_the_adapter_does(tiny_base: Path, tiny_adapter: Path):
    base = AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32)
    without = _logits(base)
    unmerged = _logits(PeftModel.from_pretrained(base, tiny_adapter).eval())
    merged = _logits(merge(resolve_base(str(tiny_base)), tiny_adapter))
    torch.testing.assert_close(merged, unmerged, atol=1e-4, rtol=1e-4)
    assert (merged - without).abs().max() > 0.1


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_the_model_runs_in_the_dtype_that_was_asked_for(
    tiny_base: Path, tiny_adapter: Path, name: str
):
    loaded = LocalGenerator.load(str(tiny_base), tiny_adapter, "cpu", name)
    network = loaded._decoder._network
    assert network.states([Run([1, 2, 3], 0)], network.new_store(4, 200), 0).dtype == getattr(
        torch, name
    )


def test_token_starts_are_those_of_the_text(generator: LocalGenerator):
    text = "a <|im_end|> 語 b"
    starts = generator.token_starts(text)
    assert starts[0] == 0 and starts == sorted(starts)
    # The special token is written out in several pieces.
    assert sum(2 <= start < 12 for start in starts) > 3


def test_context_length_is_the_base_s(generator: LocalGenerator):
    assert generator.context_length == 1024


@pytest.mark.gpu
def test_a_gpu_answers_as_the_cpu_in_float32(
    tiny_base: Path, tiny_adapter: Path, single: List[Answer]
):
    on_gpu = LocalGenerator.load(str(tiny_base), tiny_adapter, "cuda", "float32")
    answers = _answer(on_gpu, TEXTS)
    assert [answer.text for answer in answers] == [answer.text for answer in single]


@pytest.mark.gpu
def test_auto_takes_the_gpu(tiny_base: Path, tiny_adapter: Path):
    loaded = LocalGenerator.load(str(tiny_base), tiny_adapter, "auto", "auto")
    assert loaded._decoder._network.device.type == "cuda"
    assert all(answer.ends for answer in _answer(loaded, TEXTS))


def test_an_answer_that_only_repeats_itself_is_cut_and_closed(generator: LocalGenerator):
    news = '{"Ada": "person", "Bo": "person"'
    loop = news + ', "Ada": "person"' * 5
    tokens = generator._tokenizer(loop, add_special_tokens=False)["input_ids"]
    answer = _rigged(generator, tokens, "Ada and Bo")
    assert answer.text == news + "}"
    assert answer.looped and answer.complete
    assert len(answer.ends) == len(answer.logprobs) < len(tokens)
    assert answer.ends[-1] >= len(news)
