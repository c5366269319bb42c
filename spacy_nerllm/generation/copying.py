"""Greedy decoding that checks several guessed tokens in one pass, over a whole batch.

Speculative decoding (Leviathan et al., 2023, https://arxiv.org/abs/2211.17192) with drafts that are
copied from the text and not generated: a pass over eight tokens costs little more than one over
one. Each answer of a batch goes on at its own pace, and when it ends, the next text takes its
place. The answers are those of plain greedy decoding, token for token.
"""

from collections import OrderedDict, deque
from typing import Callable, Deque, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

import torch

from .network import Network, Run
from .store import Store
from .writing import Writing

# For so many starts of prompts, each with its own types, keys and values are kept.
_PREFIXES_KEPT = 4

# Room in a row is made in steps of so many tokens.
_STEP = 64

# So many tokens of prompts are read in one pass: more would not stay in the processor's caches.
_MOST_READ = 512

# So many scores of the whole vocabulary are held at once: 12 MB in float32.
_MOST_SCORED = 64

# How many tokens are guessed for one answer at the most: with the certain one before them as many
# as matrix units take at once.
_MOST_GUESSED = 15


class Task(NamedTuple):
    """An answer to write.

    writing (Writing): The answer, not begun.
    prompt (List[int]): Token ids of its prompt, without the prefix.
    """

    writing: Writing
    prompt: List[int]


class _Row:
    """An answer in a batch.

    writing (Writing): The answer.
    run (List[int]): The tokens of the next pass: some that are certain, then those guessed.
    guessed (int): How many are guessed.
    position (int): Of the first token of the run.
    """

    def __init__(self, task: Task, start: int) -> None:
        self.writing = task.writing
        self.position = start
        self.run: List[int] = []
        self.guessed = 0
        self._certain = task.prompt
        # An answer is about as long as the text.
        self._expected = start + 2 * len(task.prompt)

    @property
    def expected(self) -> int:
        """RETURNS (int): How many tokens prompt and answer will have, as far as is known."""
        return max(self._expected, self.position + len(self._certain) + _MOST_GUESSED)

    def new_tokens(self) -> int:
        """RETURNS (int): How many tokens are certain and not run yet."""
        return len(self._certain)

    def scored(self) -> int:
        """RETURNS (int): Behind how many tokens scores are needed: the last one that is certain,
        and each guess.
        """
        return 1 + self.guessed

    def guess(self, most: int) -> Run:
        guesses = self.writing.propose(most)
        self.run = [*self._certain, *guesses]
        self.guessed = len(guesses)
        return Run(self.run, self.position)

    def choose(self, scores: torch.Tensor, likeliest: Sequence[Tuple[int, float]]) -> None:
        """Write on as far as the guesses hold, and one token beyond.

        scores (torch.Tensor): Of the vocabulary behind the last certain token and behind each
            guess, of shape (1 + guessed, vocabulary).
        likeliest (Sequence[Tuple[int, float]]): The best token of each, and its score.
        """
        certain = len(self.run) - self.guessed
        held = 0
        for guess in self.run[certain:]:
            if self.writing.choose(scores[held], *likeliest[held]) != guess or self.writing.ended:
                break
            held += 1
        else:
            self.writing.choose(scores[held], *likeliest[held])
        if held < self.guessed and not self.writing.ended:
            following = [token for token, _ in likeliest[1:]]
            self.writing.learn(self.run[certain:], held, following)
        # Only of what is written, since it takes as long as the scores.
        self.writing.normalize(scores[: held + 1])
        self.position += certain + held
        self._certain = self.writing.tokens[-1:]


class CopyingDecoder:
    """Decodes with one model.

    passes (int): How many forward passes there were.
    """

    def __init__(self, network: Network) -> None:
        """network (Network): The model."""
        self._network = network
        self._prefixes: OrderedDict[Tuple[int, ...], Store] = OrderedDict()
        self.passes = 0

    def write(
        self,
        tasks: Iterable[Task],
        prefix: Sequence[int],
        *,
        forbidden: Sequence[int],
        batch_tokens: int,
    ) -> None:
        """Write answers to their ends.

        tasks (Iterable[Task]): The answers.
        prefix (Sequence[int]): Token ids with which all their prompts begin.
        forbidden (Sequence[int]): Ids of tokens that are never written where any token may stand.
        batch_tokens (int): About how many tokens of prompts and answers are held at once.
        """
        waiting = deque(sorted((_Row(task, len(prefix)) for task in tasks), key=_longest_first))
        blocked = torch.tensor(forbidden, dtype=torch.long, device=self._network.device)
        store = self._network.new_store(0, 0)
        rows: List[_Row] = []
        while waiting or rows:
            entering = _next_in(waiting, rows, batch_tokens)
            first = len(rows) if entering else 0
            rows += entering
            self._make_room(store, rows, prefix)
            for group in _grouped(entering or rows, _Row.new_tokens, _MOST_READ):
                self._pass(group, store, first, blocked, len(rows))
                first += len(group)
            rows = _without_ended(rows, store)

    def _make_room(self, store: Store, rows: List[_Row], prefix: Sequence[int]) -> None:
        """For all rows, and the prefix in each new one."""
        had = store.rows
        longest = max(row.expected for row in rows)
        if len(rows) > had or longest > store.places:
            store.resize(len(rows), -(-longest // _STEP) * _STEP)
        if prefix and len(rows) > had:
            store.fill(had, self._prefix(prefix), len(prefix))

    def _prefix(self, tokens: Sequence[int]) -> Store:
        """Keys and values of the start of prompts, as a row of their own."""
        key = tuple(tokens)
        if key not in self._prefixes:
            store = self._network.new_store(1, len(tokens))
            self._network.states([Run(tokens, 0)], store, 0)
            self._prefixes[key] = store
        self._prefixes.move_to_end(key)
        while len(self._prefixes) > _PREFIXES_KEPT:
            self._prefixes.popitem(last=False)
        return self._prefixes[key]

    def _pass(
        self, rows: List[_Row], store: Store, first: int, blocked: torch.Tensor, batch: int
    ) -> None:
        """Run neighbouring rows, and let each choose what follows."""
        runs = [row.guess(_most_guessed(batch)) for row in rows]
        states = self._network.states(runs, store, first)
        self.passes += 1
        end = 0
        for group in _grouped(rows, _Row.scored, _MOST_SCORED):
            places: List[int] = []
            for row in group:
                end += len(row.run)
                places += range(end - row.scored(), end)
            scores = self._network.scores(states[torch.tensor(places, device=states.device)])
            scores[:, blocked] = float("-inf")
            _choose(group, scores)


def _grouped(rows: List[_Row], size: Callable[[_Row], int], most: int) -> Iterator[List[_Row]]:
    """Rows in their order, in groups of a limited size; a row that is larger is one alone."""
    group: List[_Row] = []
    for row in rows:
        if group and sum(map(size, group)) + size(row) > most:
            yield group
            group = []
        group.append(row)
    yield group


def _choose(rows: List[_Row], scores: torch.Tensor) -> None:
    """Let each row choose what follows."""
    best = scores.max(-1)
    likeliest = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    begin = 0
    for row in rows:
        end = begin + row.scored()
        row.choose(scores[begin:end], likeliest[begin:end])
        begin = end


def _longest_first(row: _Row) -> int:
    return -row.expected


def _rows_at_once(longest: _Row, batch_tokens: int) -> int:
    return max(1, batch_tokens // longest.expected)


def _next_in(waiting: Deque[_Row], rows: List[_Row], batch_tokens: int) -> List[_Row]:
    """Take the next rows in, where there is room for them: several at once, since each time the
    others have to wait.
    """
    if not waiting:
        return []
    most = _rows_at_once(max((*rows, waiting[0]), key=lambda row: row.expected), batch_tokens)
    room = most - len(rows)
    if rows and room < min(len(waiting), max(1, most // 4)):
        return []
    return [waiting.popleft() for _ in range(min(room, len(waiting)))]


def _without_ended(rows: List[_Row], store: Store) -> List[_Row]:
    """Take ended rows out. The last row takes the place of one, so that rows stay neighbours."""
    kept = list(rows)
    for index in reversed(range(len(rows))):
        if rows[index].writing.ended:
            last = kept.pop()
            if index < len(kept):
                store.copy(len(kept), index, last.position)
                kept[index] = last
    return kept


def _most_guessed(rows: int) -> int:
    """How many tokens to guess for each answer: in a large batch a wasted one costs its full price,
    where a small one waits for the weights anyway.
    """
    return _MOST_GUESSED if rows < 4 else 8 if rows < 16 else 5
