"""Placing surfaces in a text, checked against brute force."""

import re
from itertools import pairwise
from unicodedata import normalize

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_nerllm.entity_map import align_pairs

# Few characters, so that surfaces recur, overlap and stop inside of tokens.
TEXTS = st.text("aab .\u0301\u0323áạİ\n", max_size=24)
TYPES = ["x", "y", "z"]


def tokens_of(text):
    return [match.span() for match in re.finditer(r"[^\W_]+|\S", text)]


def placed(text, pairs):
    return [span[:3] for span in align_pairs(text, pairs, tokens_of(text)).spans]


def by_brute_force(text, surface, tokens):
    """All token pairs whose slice is the surface; up to white space if there are none, and then up
    to canonical form.
    """
    slices = {
        (start, end): text[start:end]
        for index, (start, _) in enumerate(tokens)
        for _, end in tokens[index:]
    }
    exact = {where for where, found in slices.items() if found == surface}
    trimmed = {where: found for where, found in slices.items() if found == found.strip()}
    words = surface.split()
    respaced = {where for where, found in trimmed.items() if found.split() == words}
    return (
        exact
        or respaced
        or {
            (start, end)
            for (start, end), found in trimmed.items()
            if normalize("NFD", found).split() == normalize("NFD", surface).split()
            and cuts_no_character(text, start)
            and cuts_no_character(text, end)
        }
    )


def cuts_no_character(text, at):
    """Whether a text can be decomposed before and behind an offset apart."""
    parts = normalize("NFD", text[:at]) + normalize("NFD", text[at:])
    return parts == normalize("NFD", text) and not text[at:].startswith(("\u0301", "\u0323"))


@st.composite
def cases(draw):
    """A text cut anyhow, white space in tokens or not, and surfaces from within or without."""
    text = draw(TEXTS)
    tokens = tokens_of(text)
    if draw(st.booleans()):
        cuts = sorted(draw(st.sets(st.integers(0, len(text)))))
        tokens = list(pairwise(cuts))
    inside = st.tuples(st.integers(0, len(text)), st.integers(1, 8)).map(
        lambda at: text[at[0] : at[0] + at[1]]
    )
    respaced = inside.map(lambda part: "  ".join(part.split()))
    composed = inside.map(lambda part: normalize("NFC", part))
    surface = (inside | respaced | composed | st.text("ab ", max_size=3)).filter(str.strip)
    surfaces = draw(st.lists(surface, max_size=3, unique=True))
    return text, list(zip(surfaces, TYPES, strict=False)), tokens


@settings(deadline=None, max_examples=400)
@given(cases())
@example(("aa a aa a aa", [("aa a aa", "x")], tokens_of("aa a aa a aa")))
@example(("a\nb", [("a b", "x")], [(0, 1), (2, 3)]))
def test_occurrences_are_those_of_brute_force(case):
    text, pairs, tokens = case
    alignment = align_pairs(text, pairs, tokens)
    expected = {
        (start, end, type_, index)
        for index, (surface, type_) in enumerate(pairs)
        for start, end in by_brute_force(text, surface, tokens)
    }
    assert {tuple(span) for span in alignment.spans} == expected
    assert len(alignment.spans) == len(expected)
    with_any = {index for *_, index in expected}
    assert alignment.unplaced == [
        surface for index, (surface, _) in enumerate(pairs) if index not in with_any
    ]


@settings(deadline=None, max_examples=200)
@given(cases())
def test_slices_are_surfaces_and_stand_in_order(case):
    text, pairs, tokens = case
    spans = align_pairs(text, pairs, tokens).spans
    assert spans == sorted(spans, key=lambda span: (span.start, -span.end))
    for span in spans:
        surface, type_ = pairs[span.pair]
        found = text[span.start : span.end]
        assert normalize("NFD", found).split() == normalize("NFD", surface).split()
        assert span.type == type_


def test_every_mention_is_placed():
    text = "Ada met Ada. ADA? Adam!"
    assert placed(text, [("Ada", "person")]) == [(0, 3, "person"), (8, 11, "person")]


def test_overlapping_mentions_are_all_placed():
    assert placed("a b a b a", [("a b a", "x")]) == [(0, 5, "x"), (4, 9, "x")]


def test_the_longer_of_two_that_start_together_comes_first():
    text = "New York Times"
    pairs = [("New York", "city"), ("New York Times", "newspaper")]
    assert placed(text, pairs) == [(0, 14, "newspaper"), (0, 8, "city")]


def test_characters_that_grow_when_lowered_shift_nothing():
    text = "İİİ İzmir, Straße, İzmir"
    assert placed(text, [("İzmir", "city")]) == [(4, 9, "city"), (19, 24, "city")]


def test_unicode_forms_are_not_mixed():
    text = "Cafe\u0301 und Café"
    tokens = [(0, 5), (6, 9), (10, 14)]
    assert align_pairs(text, [("Café", "x")], tokens).spans == [(10, 14, "x", 0)]
    assert align_pairs(text, [("Cafe\u0301", "x")], tokens).spans == [(0, 5, "x", 0)]


def test_a_surface_is_found_in_its_other_form_where_it_stands_in_none_of_its_own():
    text = "Cafe\u0301 Müller"
    tokens = [(0, 5), (6, 12)]
    assert align_pairs(text, [("Café", "x")], tokens).spans == [(0, 5, "x", 0)]
    assert align_pairs(text, [("Mu\u0308ller", "x")], tokens).spans == [(6, 12, "x", 0)]
    assert align_pairs("각 각", [("\u1100\u1161\u11a8", "x")], [(0, 1), (2, 3)]).spans == [
        (0, 1, "x", 0),
        (2, 3, "x", 0),
    ]


def test_marks_in_another_order_are_the_same_character():
    assert placed("a\u0323\u0301!", [("a\u0301\u0323", "x")]) == [(0, 3, "x")]


def test_half_of_a_character_is_no_occurrence():
    assert align_pairs("éx", [("e", "x")], [(0, 1), (1, 2)]).unplaced == ["e"]


def test_a_combining_character_belongs_to_its_token():
    assert align_pairs("Cafe\u0301", [("Cafe", "x")], [(0, 5)]) == ([], ["Cafe"])


def test_a_surface_inside_a_token_is_unplaced():
    assert align_pairs("Adam", [("Ada", "person"), ("dam", "thing")], [(0, 4)]).unplaced == [
        "Ada",
        "dam",
    ]


def test_a_wrapped_surface_is_found_across_any_white_space():
    assert placed("Marie\n\t Curie", [("Marie Curie", "person")]) == [(0, 13, "person")]


def test_white_space_is_loosened_only_where_the_exact_surface_stands_nowhere():
    text = "New\nYork and New York"
    assert placed(text, [("New York", "city")]) == [(13, 21, "city")]


def test_white_space_is_loosened_where_the_exact_surface_is_part_of_a_word():
    text = "New Yorkers love New\nYork."
    assert placed(text, [("New York", "city"), ("love ", "x")]) == [
        (12, 16, "x"),
        (17, 25, "city"),
    ]


def test_white_space_is_not_made_up():
    assert placed("NewYork", [("New York", "city")]) == []


def test_surfaces_are_no_patterns():
    assert placed("abc a.c", [("a.c", "x")]) == [(4, 7, "x")]


def test_nothing_but_white_space_is_never_placed():
    assert align_pairs("a  b", [(" ", "x"), ("", "y")], [(0, 1), (1, 3), (3, 4)]) == ([], [" ", ""])
