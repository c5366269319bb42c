"""From the probability of an entity to a confidence: how often such entities are right.

Models are surer than they are right, and more so with types of their own than with given ones.
A straight line between the log-odds of both, fitted on texts that were not trained on (Platt, 1999,
"Probabilistic outputs for support vector machines"), keeps the order of scores.
"""

import math
from typing import Any, Dict, NamedTuple, Optional

from ..entity_map import Types

# Probabilities are taken no nearer to 0 and 1.
_EDGE = 1e-6

_KEY = "confidence"


class Confidence(NamedTuple):
    """Turns a probability into a confidence.

    slope (float): Of the log-odds, over 0.
    shift (float): Added to them.
    """

    slope: float = 1.0
    shift: float = 0.0

    def __call__(self, probability: float) -> float:
        """Apply it.

        probability (float): That the model gave to surface and type together, from 0 to 1.
        RETURNS (float): The confidence, from 0 to 1.
        """
        if self == _AS_IT_IS:
            return probability
        odds = self.slope * log_odds(probability) + self.shift
        return 0.5 + 0.5 * math.tanh(0.5 * odds)  # The logistic function, without an overflow.


_AS_IT_IS = Confidence()


def log_odds(probability: float) -> float:
    """RETURNS (float): Natural logarithm of the odds.

    probability (float): From 0 to 1; very near to either it is taken for a little less so.
    """
    kept = min(max(probability, _EDGE), 1 - _EDGE)
    return math.log(kept / (1 - kept))


class Confidences(NamedTuple):
    """Of one adapter.

    open (Confidence): With open types.
    given (Confidence): With given types.
    """

    open: Confidence = _AS_IT_IS
    given: Confidence = _AS_IT_IS

    def of(self, types: Optional[Types]) -> Confidence:
        """RETURNS (Confidence): The one to use.

        types (Optional[Types]): The types that are given, or None for open types.
        """
        return self.open if types is None else self.given


def read_confidences(extra: Dict[str, Any]) -> Confidences:
    """RETURNS (Confidences): What is stored with an adapter, or probabilities as they are.

    extra (Dict[str, Any]): From `AdapterInfo`.
    """
    stored = extra.get(_KEY, {})
    return Confidences(**{mode: Confidence(**values) for mode, values in stored.items()})


def store_confidences(extra: Dict[str, Any], confidences: Confidences) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): A copy of what is stored with an adapter, with its confidences.

    extra (Dict[str, Any]): For `AdapterInfo`.
    confidences (Confidences): To store.
    """
    values = {mode: confidence._asdict() for mode, confidence in confidences._asdict().items()}
    return {**extra, _KEY: values}
