"""Fit what turns probabilities into confidences, on records that were not trained on."""

from typing import Iterable, List, Optional, Sequence, Tuple

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ..generation.confidence import Confidence, Confidences, log_odds
from .selection import Answered

# With fewer pairs a line says nothing.
_FEWEST = 50

_UNFITTED = Confidences()


def fit_confidences(answered: Iterable[Answered], before: Confidences = _UNFITTED) -> Confidences:
    """See how often pairs of each probability are right.

    answered (Iterable[Answered]): Records with open types, with given types, or both.
    before (Confidences): What holds for a mode with too few pairs.
    RETURNS (Confidences): What holds now.
    """
    open_pairs: List[Tuple[float, bool]] = []
    given_pairs: List[Tuple[float, bool]] = []
    for record, pairs in answered:
        gold = set(record["output"].items())
        mode = open_pairs if record["types"] is None else given_pairs
        mode += [(score, pair in gold) for pair, score in pairs.items()]
    return Confidences(fit(open_pairs) or before.open, fit(given_pairs) or before.given)


def fit(scored: Sequence[Tuple[float, bool]]) -> Optional[Confidence]:
    """Fit one line by logistic regression, with targets that are smoothed as by Platt.

    scored (Sequence[Tuple[float, bool]]): Probability of each pair, and whether it is right.
    RETURNS (Optional[Confidence]): The line; None if there are too few pairs.
    """
    if len(scored) < _FEWEST:
        return None
    right = sum(hit for _, hit in scored)
    targets = {True: (right + 1) / (right + 2), False: 1 / (len(scored) - right + 2)}
    odds = torch.tensor([log_odds(score) for score, _ in scored], dtype=torch.float64)
    wanted = torch.tensor([targets[hit] for _, hit in scored], dtype=torch.float64)
    # The logarithm of the slope, so that it stays over 0.
    line = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([line], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(line[0].exp() * odds + line[1], wanted)
        value.backward()
        return value

    optimizer.step(loss)
    return Confidence(slope=float(line[0].exp()), shift=float(line[1]))
