"""What every engine is measured with: passes of copy decoding, and plain greedy answers.

A pass runs some rows of new tokens over cached ones, without the vocabulary's scores. In copy
decoding the cache of a row also loses the tokens of a draft that were rejected, and rows have
different lengths: `verifies_runs` tries that. This file needs numpy only, so that an
engine can have an environment of its own.
"""

import json
import resource
import time
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Protocol, Sequence

import numpy as np

THREADS = 2
SHAPES = [(1, 1, 160), (1, 12, 160), (12, 8, 160), (12, 170, 0), (1, 170, 0)]
REPEATS = 5
END = 2  # The token that ends an answer.
LIMIT = 128  # The most tokens of an answer.


class Shape(NamedTuple):
    """Sizes of a Llama model, from its config.json.

    layers (int): Layers.
    heads (int): Heads of queries.
    kv_heads (int): Heads of keys and values.
    head (int): Width of a head.
    theta (float): Base of the rotary embedding.
    eps (float): Of the norms.
    """

    layers: int
    heads: int
    kv_heads: int
    head: int
    theta: float
    eps: float

    @classmethod
    def read(cls, model: Path) -> "Shape":
        config = json.loads((model / "config.json").read_text("utf8"))
        return cls(
            config["num_hidden_layers"],
            config["num_attention_heads"],
            config["num_key_value_heads"],
            config["head_dim"],
            config["rope_parameters"]["rope_theta"],
            config["rms_norm_eps"],
        )


class Engine(Protocol):
    """A model that is loaded, with the cache of some rows."""

    def reset(self, rows: int) -> None:
        """Forget everything, and begin so many rows."""

    def run(self, ids: np.ndarray, wanted: Sequence[int] = ()) -> np.ndarray:
        """Run new tokens [rows, new] over the cached ones, and cache them too.

        RETURNS (np.ndarray): Scores of the vocabulary after the tokens at these flat places.
        """

    def reject(self, counts: Sequence[int]) -> None:
        """Forget so many of the last tokens, row by row."""


class Masked:
    """Bookkeeping for engines with a mask: rejected tokens stay in the cache, and are hidden."""

    def reset(self, rows: int) -> None:
        """As `Engine.reset`."""
        self._kept = np.zeros((rows, 0), dtype=bool)

    def reject(self, counts: Sequence[int]) -> None:
        """As `Engine.reject`."""
        for row, count in enumerate(counts):
            self._kept[row, self._kept.shape[1] - count :] = False

    def _add(self, new: int) -> tuple[np.ndarray, np.ndarray]:
        """RETURNS (tuple[np.ndarray, np.ndarray]): Positions of new tokens [rows, new], and whom
        they see [rows, 1, new, cached + new].
        """
        rows, past = self._kept.shape
        positions = self._kept.sum(1, keepdims=True) + np.arange(new)
        causal = np.tri(new, past + new, past, dtype=bool)
        self._kept = np.concatenate([self._kept, np.ones((rows, new), dtype=bool)], axis=1)
        return positions, (causal & self._kept[:, None])[:, None]


def measure(engine: Engine) -> Dict[str, Optional[float]]:
    """Time the passes.

    engine (Engine): The engine.
    RETURNS (Dict[str, Optional[float]]): Median of milliseconds, by "rowsxnew".
    """
    found: Dict[str, Optional[float]] = {}
    random = np.random.default_rng(0)
    for rows, new, past in SHAPES:
        seconds = []
        for _ in range(REPEATS + 1):
            engine.reset(rows)
            if past:
                engine.run(random.integers(5, 40000, (rows, past)))
            ids = random.integers(5, 40000, (rows, new))
            begin = time.perf_counter()
            engine.run(ids)
            seconds.append(time.perf_counter() - begin)
        found[f"{rows}x{new}"] = round(1000 * float(np.median(seconds[1:])), 1)
    return found


def verifies_runs(engine: Engine) -> bool:
    """Try two rows that lose different parts of a draft, against rows that never had them.

    engine (Engine): The engine.
    RETURNS (bool): Whether the scores that follow are the same, but for rounding.
    """
    random = np.random.default_rng(1)
    begun, draft, rest = (random.integers(5, 40000, (2, new)) for new in (20, 6, 3))
    engine.reset(2)
    engine.run(begun)
    engine.run(draft)
    engine.reject([2, 5])
    scores = np.array(engine.run(rest, range(6)))
    alike = []
    for row, accepted in enumerate((4, 1)):
        ids = np.concatenate([begun[row], draft[row, :accepted], rest[row]])[None]
        engine.reset(1)
        expected = engine.run(ids, range(ids.size - 3, ids.size))
        got = scores[3 * row : 3 * row + 3]
        alike += [np.corrcoef(a, b)[0, 1] for a, b in zip(got, expected, strict=True)]
    return bool(min(alike) > 0.95)


def greedy(engine: Engine, prompts: List[List[int]]) -> List[List[int]]:
    """Answer prompts one by one, with the likeliest token each time.

    engine (Engine): The engine.
    prompts (List[List[int]]): Token ids.
    RETURNS (List[List[int]]): Token ids of the answers, without the end of turn.
    """
    answers = []
    for prompt in prompts:
        engine.reset(1)
        scores = engine.run(np.array([prompt]), [len(prompt) - 1])
        answer: List[int] = []
        while len(answer) < LIMIT and (token := int(scores[0].argmax())) != END:
            answer.append(token)
            scores = engine.run(np.array([[token]]), [0])
        answers.append(answer)
    return answers


def report(
    out: Path,
    engine: Engine,
    name: str,
    *,
    weights: str,
    package: str,
    added: Sequence[str],
    model: Path,
    prompts: Path,
) -> None:
    """Measure an engine, and write its row with its answers, to be scored by `score.py`.

    out (Path): The row, JSON.
    engine (Engine): The engine, loaded.
    name (str): What it is called.
    weights (str): How weights are stored, and what is computed in.
    package (str): The package whose version counts.
    added (Sequence[str]): What is installed for it, beside torch and transformers.
    model (Path): What it loads, a file or a folder.
    prompts (Path): Token ids of prompts, JSON.
    """
    ms = measure(engine)
    row = describe(name, weights, package, added, model, ms)
    row["verifies_runs"] = verifies_runs(engine)
    row["answers"] = greedy(engine, json.loads(prompts.read_text("utf8")))
    out.write_text(json.dumps(row), "utf8")


def describe(
    name: str,
    weights: str,
    package: str,
    added: Sequence[str],
    model: Path,
    ms: Dict[str, Optional[float]],
) -> Dict[str, Any]:
    """Make the row of an engine that has been timed, and print it. Arguments are as in `report`.

    RETURNS (Dict[str, Any]): The row, its peak memory that of this process so far.
    """
    files = [path for path in model.rglob("*") if path.is_file()] if model.is_dir() else [model]
    prefill = ms["12x170"]
    row = {
        "engine": name,
        "version": version(package),
        "weights": weights,
        "ms": ms,
        "prefill_tokens_per_s": round(12 * 170 / prefill * 1000) if prefill else None,
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6),
        "install_mb": round(sum(map(_installed_mb, added))),
        "model_mb": round(sum(path.stat().st_size for path in files) / 1e6),
        "f1": None,
    }
    print(row)
    return row


def _installed_mb(package: str) -> float:
    paths = (Path(str(file.locate())) for file in distribution(package).files or ())
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6
