"""Splitting long texts."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_nerllm.entity_map import split_windows

TOKENS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=40)


def split(sentences, budget):
    """Sentences as lists of costs."""
    costs = [cost for sentence in sentences for cost in sentence]
    starts = [index == 0 for sentence in sentences for index, _ in enumerate(sentence)]
    return split_windows(costs, starts, budget)


def fewest(sentence_costs, budget):
    """The least number of windows of whole sentences, by trying every last window."""
    best = [0]
    for end in range(1, len(sentence_costs) + 1):
        fitting = (start for start in range(end) if sum(sentence_costs[start:end]) <= budget)
        best.append(1 + min(best[start] for start in fitting))
    return best[-1]


@settings(deadline=None, max_examples=200)
@given(TOKENS, st.integers(1, 20))
def test_every_token_stands_in_one_window_in_order(tokens, budget):
    costs, starts = zip(*tokens, strict=True)
    windows = split_windows(costs, starts, budget)
    assert [index for window in windows for index in range(*window)] == list(range(len(costs)))
    assert all(first < last for first, last in windows)


@settings(deadline=None, max_examples=200)
@given(TOKENS, st.integers(1, 20))
def test_the_budget_is_kept_but_for_a_single_token_over_it(tokens, budget):
    costs, starts = zip(*tokens, strict=True)
    for first, last in split_windows(costs, starts, budget):
        assert sum(costs[first:last]) <= budget or last - first == 1


@settings(deadline=None, max_examples=200)
@given(TOKENS, st.integers(1, 20))
def test_a_sentence_is_cut_only_where_none_starts_inside_the_window(tokens, budget):
    costs, starts = zip(*tokens, strict=True)
    for (first, last), _ in pairwise(split_windows(costs, starts, budget)):
        assert starts[last] or not any(starts[first + 1 : last])


@settings(deadline=None, max_examples=200)
@given(TOKENS, st.integers(1, 20))
def test_no_window_could_have_gone_on_to_the_next_cut(tokens, budget):
    costs, starts = zip(*tokens, strict=True)
    for (first, last), _ in pairwise(split_windows(costs, starts, budget)):
        later = [index for index in range(last + 1, len(costs)) if starts[index]]
        upto = min(later, default=len(costs)) if starts[last] else last + 1
        assert sum(costs[first:upto]) > budget


@settings(deadline=None, max_examples=200)
@given(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=3), min_size=1, max_size=12))
def test_sentences_that_fit_are_left_whole_in_the_fewest_windows(sentences):
    windows = split(sentences, budget=9)
    ends = {sum(map(len, sentences[:count])) for count in range(len(sentences) + 1)}
    assert {last for _, last in windows} <= ends
    assert len(windows) == fewest([sum(sentence) for sentence in sentences], 9)


@pytest.mark.parametrize(
    "sentences, budget, windows",
    [
        ([], 10, []),
        ([[4]], 10, [(0, 1)]),
        ([[5, 5]], 10, [(0, 2)]),
        ([[5], [5], [5]], 10, [(0, 2), (2, 3)]),
        ([[5, 1], [5]], 10, [(0, 2), (2, 3)]),
        ([[4, 4, 4]], 10, [(0, 2), (2, 3)]),
        ([[1, 50, 1]], 10, [(0, 1), (1, 2), (2, 3)]),
        ([[50], [50]], 10, [(0, 1), (1, 2)]),
        ([[2], [4, 4, 4, 4]], 10, [(0, 1), (1, 3), (3, 5)]),
        ([[0, 0, 0]], 1, [(0, 3)]),
    ],
)
def test_simple_cases(sentences, budget, windows):
    assert split(sentences, budget) == windows


def test_a_text_without_sentences_is_cut_between_tokens():
    assert split_windows([3] * 7, [False] * 7, 9) == [(0, 3), (3, 6), (6, 7)]
