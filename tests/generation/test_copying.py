"""Copy decoding answers as plain greedy decoding does, token for token, with fewer passes."""

import itertools
import random
from typing import Any, List, Optional, Sequence

import pytest
import torch
from conftest import SENTENCES
from greedy import Greedy, decode_greedily

from spacy_nerllm.entity_map import Prompt
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.copying import CopyingDecoder, Task
from spacy_nerllm.generation.encoding import (
    encode_answer,
    encode_prefix,
    encode_prompt,
    encode_rest,
)
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.merging import merge
from spacy_nerllm.generation.types_seen import Mention
from spacy_nerllm.generation.writing import Writing

LABELS = [None, ["person", "place"], ["c++", "#tag", "a: b"]]
WORDS = " ".join(SENTENCES).split() + ["語言", "😀", "Straße", "naïve", '"quoted"', "\\", "\n"]


@pytest.fixture(scope="module")
def generator(tiny_base: Any, tiny_adapter: Any) -> LocalGenerator:
    return LocalGenerator.load(str(tiny_base), tiny_adapter, "cpu", "float32")


def _texts(count: int, seed: int) -> List[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 40))) for _ in range(count)]


def _run(
    decoder: CopyingDecoder,
    generator: LocalGenerator,
    writings: Sequence[Writing],
    texts: Sequence[str],
    types: Optional[List[str]],
    batch_tokens: int,
) -> None:
    prompts = [generator.render(text, types) for text in texts]
    tokenizer = generator._tokenizer
    tasks = [Task(*pair) for pair in zip(writings, _rests(tokenizer, prompts), strict=True)]
    tries = generator._tries_of(types) if types else None
    with torch.inference_mode():
        decoder.write(
            tasks,
            encode_prefix(tokenizer, prompts[0]),
            forbidden=sorted(tries.forbidden) if tries else [],
            batch_tokens=batch_tokens,
        )


def _rests(tokenizer: Any, prompts: Sequence[Prompt]) -> List[List[int]]:
    return [encode_rest(tokenizer, prompt) for prompt in prompts]


def _greedy(
    model: Any, generator: LocalGenerator, text: str, types: Optional[List[str]], limit: int
) -> Greedy:
    prompt = generator.render(text, types)
    return decode_greedily(model, generator._tokenizer, [prompt], types, limit)[0]


@pytest.fixture(scope="module")
def model(tiny_base: Any, tiny_adapter: Any) -> Any:
    return merge(resolve_base(str(tiny_base)), tiny_adapter)


@pytest.mark.parametrize("types", LABELS)
@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_tokens_are_those_of_plain_greedy_decoding(
    model: Any, generator: LocalGenerator, types: Optional[List[str]], rows: int
):
    texts = _texts(24, seed=rows)
    longest = max(
        len(encode_prompt(generator._tokenizer, generator.render(text, types))) for text in texts
    )
    writings = [generator._begin(text, types, 40) for text in texts]
    _run(generator._decoder, generator, writings, texts, types, rows * 2 * longest)
    for text, writing in zip(texts, writings, strict=True):
        plain = _greedy(model, generator, text, types, 40)
        assert writing.tokens == plain.tokens
        assert writing._logprobs == pytest.approx(plain.logprobs, abs=1e-4)


def test_plain_greedy_decoding_is_the_same_in_batches(model: Any, generator: LocalGenerator):
    texts = _texts(6, seed=0)
    prompts = [generator.render(text, None) for text in texts]
    batch = decode_greedily(model, generator._tokenizer, prompts, None, 40)
    for text, answer in zip(texts, batch, strict=True):
        assert answer.tokens == _greedy(model, generator, text, None, 40).tokens


class _Liar:
    """Guesses at random, or the truth with one lie in it."""

    def __init__(self, truth: List[int], vocabulary: int, chance: random.Random) -> None:
        self._truth, self._vocabulary, self._chance = truth, vocabulary, chance
        self._written = 0

    def add(self, token: int, piece: str) -> None:
        self._written += 1

    def propose(self, most: int) -> List[int]:
        guess = self._truth[self._written : self._written + self._chance.randint(0, max(0, most))]
        if guess and self._chance.random() < 0.7:
            guess[self._chance.randrange(len(guess))] = self._chance.randrange(self._vocabulary)
        return guess

    def learn(self, guesses: Sequence[int], held: int, following: Sequence[int]) -> None:
        assert len(guesses) == len(following) > held


@pytest.mark.parametrize("seed", range(5))
def test_wrong_guesses_change_nothing(model: Any, generator: LocalGenerator, seed: int):
    chance = random.Random(seed)
    texts = _texts(12, seed)
    truths = [_greedy(model, generator, text, None, 60).tokens for text in texts]
    writings = [generator._begin(text, None, 60) for text in texts]
    for writing, truth in zip(writings, truths, strict=True):
        writing._drafter = _Liar(truth, len(generator._tokenizer), chance)
    decoder = CopyingDecoder(generator._decoder._network)
    _run(decoder, generator, writings, texts, None, 100_000)
    assert [writing.tokens for writing in writings] == truths
    assert decoder.passes < max(map(len, truths))


def test_a_loop_ends_its_own_answer_alone(generator: LocalGenerator):
    loop = '{"a": "b"' + ', "a": "b"' * 5
    news = '{"a": "b", "c": "d", "e": "f"}'
    first, second = (generator._begin("a, c, e", None, 1000) for _ in range(2))
    for writing, answer in ((first, loop), (second, news)):
        for token in generator._tokenizer(answer, add_special_tokens=False)["input_ids"]:
            if not writing.ended:
                scores = torch.full((len(generator._tokenizer),), float("-inf"))
                scores[token] = 0.0
                writing.choose(scores, token, 0.0)
    assert first.ended and first.answer().looped
    assert not second.ended and second.answer().text == news


def test_what_was_seen_is_guessed(generator: LocalGenerator):
    tokenizer = generator._tokenizer
    text = "Marie Curie was born in Warsaw. Pierre Curie lived in Paris."
    generator._memory.add(Mention("Marie Curie", "", " was", ""), "person")
    generator._memory.add(Mention("Warsaw", "born in ", ".", "person"), "place")
    answer = (
        '{"Marie Curie": "person", "Warsaw": "place", "Pierre Curie": "person", "Paris": "place"}'
    )
    tokens = encode_answer(tokenizer, answer)
    writing = generator._begin(text, None, 1000)
    passes = 0
    while not writing.ended:
        guess = writing.propose(12)
        passes += 1
        rest = tokens[len(writing.tokens) :]
        same = itertools.takewhile(lambda both: both[0] == both[1], zip(guess, rest, strict=False))
        right = len(list(same))
        for token in rest[: right + 1]:
            scores = torch.full((len(tokenizer),), float("-inf"))
            scores[token] = 0.0
            writing.choose(scores, token, 0.0)
    assert writing.answer().text == answer
    assert passes < len(tokens) / 4
