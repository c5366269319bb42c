"""Split a long text into windows that a model can read, at the ends of sentences."""

from typing import List, Sequence, Tuple


def split_windows(
    costs: Sequence[int], sentence_starts: Sequence[bool], budget: int
) -> List[Tuple[int, int]]:
    """Split tokens into as few windows as fit the budget, cutting between sentences.

    A sentence over the budget is cut between tokens, and a token over the budget gets a
    window of its own: every token stands in exactly one window.

    costs (Sequence[int]): What each token costs, in tokens of the model.
    sentence_starts (Sequence[bool]): Whether each token begins a sentence.
    budget (int): The most that one window may cost.
    RETURNS (List[Tuple[int, int]]): (first token, token after the last) of each window.
    """
    windows = []
    first, spent, cut = 0, 0, 0
    for index, cost in enumerate(costs):
        if sentence_starts[index]:
            cut = index
        while index > first and spent + cost > budget:
            last = cut if cut > first else index
            windows.append((first, last))
            first, spent = last, sum(costs[last:index])
        spent += cost
    if costs:
        windows.append((first, len(costs)))
    return windows
