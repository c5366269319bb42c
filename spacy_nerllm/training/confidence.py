"""Fit what turns probabilities into confidences, on records that were not trained on."""

from typing import Iterable, List, Sequence, Tuple

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ..generation.confidence import Confidence, Confidences, log_odds
from .selection import Answered

# With fewer pairs a line says nothing.
_FEWEST = 50


def fit_confidences(answered: Iterable[Answered]) -> Confidences:
    """See how often pairs of each probability are right.

    answered (Iterable[Answered]): Records with open types, with given types, or both.
    RETURNS (Confidences): Of a mode with too few pairs, probabilities as they are.
    """
    scored: Tuple[List[Tuple[float, bool]], ...] = ([], [])
    for record, pairs in answered:
        gold = set(record["output"].items())
        mode = scored[record["types"] is not None]
        mode += [(score, pair in gold) for pair, score in pairs.items()]
    return Confidences(*(fit(mode) for mode in scored))


def fit(scored: Sequence[Tuple[float, bool]]) -> Confidence:
    """Fit one line by logistic regression.

    scored (Sequence[Tuple[float, bool]]): Probability of each pair, and whether it is right.
    RETURNS (Confidence): The line; as it is where there are too few pairs, all are right or none.
    """
    right = sum(hit for _, hit in scored)
    if len(scored) < _FEWEST or right in (0, len(scored)):
        return Confidence()
    odds = torch.tensor([log_odds(score) for score, _ in scored], dtype=torch.float64)
    hits = torch.tensor([float(hit) for _, hit in scored], dtype=torch.float64)
    # The logarithm of the slope, so that it stays over 0.
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(line[0].exp() * odds + line[1], hits)
        value.backward()
        return value

    optimizer.step(loss)
    return Confidence(slope=float(line[0].exp()), shift=float(line[1]))
