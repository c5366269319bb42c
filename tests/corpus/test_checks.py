"""The checks find what breaks the guide, and pass what does not."""

import re
import subprocess
import sys
from pathlib import Path
from typing import List

import pytest

from spacy_nerllm.corpus.bounds import missed_bounds
from spacy_nerllm.corpus.checks import (
    PassageChecker,
    collect_statistics,
    hard_cases,
    repeated_openings,
    shared_phrases,
    type_counts,
)
from spacy_nerllm.corpus.markup import Passage, parse_markup
from spacy_nerllm.corpus.splits import read_splits

ROOT = Path(__file__).parents[2]
EVALUATION = ROOT.parent / "shared" / "data" / "eval"


def passage(marked: str, id_: str = "en-news-1", lang: str = "en") -> Passage:
    return Passage(id_, "news", lang, *parse_markup(marked))


def problems(marked: str) -> List[str]:
    return [problem.text for problem in PassageChecker(1, 20).check(passage(marked))]


@pytest.mark.parametrize(
    "marked",
    [
        "Nothing is marked here.",
        "[[Ada|person]] met [[Ada|person]].",
        "[[Ada|person]] met Adam and Nada.",
        "[[New York Times|newspaper]] wrote of [[New York|city]].",
        "It cost [[€40|money]] in [[St. Moritz|city]].",
        "[[Ada|person]]'s cat",
        "[[Acme Ltd.|company]] paid [[Jr.|person]] at [[8 p.m.|time]]",
        "[[McDonald's|restaurant]] and [[f(x)|function]]",
    ],
)
def test_what_keeps_the_guide_passes(marked: str):
    assert problems(marked) == []


@pytest.mark.parametrize(
    "marked, problem",
    [
        ("word " * 21, "21 words"),
        ("[[Ada|person]] met Ada.", "'Ada' at 8 is not marked"),
        ("[[Ada|person]] met [[Ada|country]].", "two types, 'person' and 'country'"),
        ("[[“Ada”|person]] met", "begins or ends with a quote"),
        ("[[Ada,|person]] met", "begins or ends with a quote or a comma"),
        ("[[‘Ada|person]] met", "begins or ends with a quote"),
        ("[[(Ada)|person]] met", "brackets of its own"),
        ("in [[Warsaw city.|city]] then [[Swarzewo-am-Meer.|city]]", "ends with a full stop"),
        ("[[Ada's|person]] cat", "ends with a possessive"),
        ("[[Ada|Person]] met", "no telling lower-case name"),
        ("[[Ada|entity]] met", "no telling lower-case name"),
        ("[[Ada|a person of some fame]] met", "no telling lower-case name"),
    ],
)
def test_what_breaks_the_guide_is_found(marked: str, problem: str):
    (found,) = problems(marked)
    assert problem in found


EIGHT = "one two three four five six seven eight"


def test_a_phrase_of_two_passages_is_found_once_in_the_second():
    first, second = passage(f"{EIGHT}, nine", "a"), passage(f"zero {EIGHT.upper()}!", "b")
    (problem,) = shared_phrases([first, second])
    assert problem.id == "b" and EIGHT in problem.text and "stands in a too" in problem.text


def test_shorter_phrases_may_recur():
    seven = EIGHT.rsplit(" ", 1)[0]
    assert not list(shared_phrases([passage(f"{seven} a", "a"), passage(f"{seven} b", "b")]))


def test_a_phrase_may_recur_within_a_passage():
    assert not list(shared_phrases([passage(f"{EIGHT}. {EIGHT}")]))


def test_a_phrase_of_an_evaluation_corpus_is_found():
    (problem,) = shared_phrases([passage(f"a {EIGHT}")], [f"b {EIGHT} c"])
    assert "evaluation corpus" in problem.text


def test_openings_are_counted_for_each_language():
    many = [passage(f"Once upon a time {n}", f"en-{n}") for n in range(6)]
    other = passage("Once upon a time 7", "de-1", "de")
    assert [problem.id for problem in repeated_openings([*many, other])] == ["en-5"]


def test_statistics_count_what_is_there():
    passages = [
        *(passage(f"[[Ada|person]] {n}", str(n)) for n in range(5)),
        passage("[[Rex|dog]] and [[Ada|person]]", "6"),
        passage("Nothing. " + "word " * 140, "7"),
        passage("No.", "8"),
    ]
    found = collect_statistics(passages, frozenset({"person"}))
    assert (found.passages, found.mentions, found.surfaces, found.types) == (8, 7, 2, 2)
    assert found.common_types == 1
    assert found.inventory == pytest.approx(6 / 7) and found.tail == pytest.approx(1 / 7)
    assert found.empty == 2 / 8 and found.long == 1 / 8


def test_no_passages_have_no_shares():
    assert collect_statistics([], frozenset()).inventory == 0


@pytest.mark.parametrize(
    "marked, kinds",
    [
        ("Then [[Ada|person]] met Adele.", set()),
        ("Then [[Ada|person]] met Adam.", {"within"}),
        ("Then [[Ada|person]] and [[Ada|person]] met.", {"repeated"}),
        ("[[Ada|person]] met [[Bo|person]]", {"edge"}),
        ("Then “[[Ada|person]]” met.", {"bracketed"}),
        ("then [[ada|person]] met.", {"case"}),
        ("It ran [[35km|distance]].", {"joined"}),
    ],
)
def test_hard_cases_are_seen(marked: str, kinds: set):
    assert hard_cases(passage(marked)) == kinds


def test_types_are_counted_by_mention_and_by_passage():
    passages = [passage("[[A|x]] [[B|x]] [[C|y]]", "a"), passage("[[A|x]]", "b")]
    assert type_counts(passages) == [("x", 3, 2), ("y", 1, 1)]


def test_a_small_corpus_misses_every_bound():
    passages = [passage("[[Ada|rare]] met.", str(n)) for n in range(2)]
    statistics = collect_statistics(passages, frozenset())
    missed = list(missed_bounds(statistics, {"train": passages, "dev": [], "test": []}))
    for bound in ("surfaces", "types of five", "inventory", "rare", "without", "words", "third"):
        assert any(bound in text for text in missed), bound
    for bound in ("in en", "in de", "in es", "domains", "in train", "in dev", "in test"):
        assert any(bound in text for text in missed), bound


def test_the_guide_shows_no_words_of_the_parts_to_choose_and_to_test_on():
    guide = (ROOT / "assets/open_types/GUIDE.md").read_text("utf8")
    quoted = re.findall(r'"([^"]+)"', guide)
    # Names and values; not what everybody says, as "the company".
    examples = {text.lower() for text in quoted if re.search(r"\d|[A-Z]", text) and " " in text}
    parts = read_splits(ROOT / "assets/open_types")
    aside = [passage.text.lower() for part in ("dev", "test") for passage in parts[part]]
    shown = {text for text in examples if any(text in held for held in aside)}
    assert len(examples) > 10 and shown <= {"last friday"}


def test_the_shipped_corpus_keeps_every_rule():
    """With the evaluation corpora where they are: it must share no text with them."""
    command = [sys.executable, "scripts/check_open_types.py"]
    if EVALUATION.is_dir():
        command += ["--evaluation", str(EVALUATION)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
