"""Writing answers strictly, and reading whatever a model says."""

import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_nerllm.entity_map import end_of_news, pairs_from_spans, read_answer, write_answer

HARD = '"\\\n\r\t\x00\x1f\x7f\u2028{}[]:, aé\u0301İ語🦉👩‍🚀'
STRINGS = st.text(st.sampled_from(HARD) | st.characters(codec="utf8"), min_size=1)
MAPS = st.dictionaries(STRINGS, STRINGS, max_size=6)
# Near-JSON: much of it is cut or broken, some of it is right.
SHREDS = st.lists(
    st.sampled_from('"\\{}[]:, \n')
    | st.sampled_from(["\\u12", '"a"', '"b": "c"'])
    | st.text(max_size=3)
).map("".join)


def told(answer):
    return [(pair.surface, pair.type) for pair in read_answer(answer).pairs]


def strict_items(answer):
    """What a strict reader takes from an answer, or None if it is no flat map of strings."""
    try:
        items = json.loads(answer, object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if not isinstance(items, tuple):
        return None
    if not all(isinstance(value, str) and key and value for key, value in items):
        return None
    return items


# Strict answers


@settings(deadline=None)
@given(MAPS)
def test_what_was_written_is_read(pairs):
    entity_map = read_answer(write_answer(pairs.items()))
    assert [(pair.surface, pair.type) for pair in entity_map.pairs] == list(pairs.items())
    assert not entity_map.salvaged
    assert entity_map.conflicts == []


@settings(deadline=None, max_examples=60)
@given(MAPS)
def test_an_answer_is_one_line_of_json(pairs):
    answer = write_answer(pairs.items())
    assert json.loads(answer) == pairs
    assert "\n" not in answer


def test_an_answer_holds_unicode_as_it_stands():
    assert write_answer([("Köln", "city"), ("🦉", "animal")]) == '{"Köln": "city", "🦉": "animal"}'


def test_no_entities_are_an_empty_map():
    assert write_answer([]) == "{}"
    assert read_answer("{}") == ([], False, [])


@settings(deadline=None, max_examples=60)
@given(MAPS, st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_any_layout_of_a_strict_map_is_read(pairs, indent, ascii_only):
    answer = json.dumps(pairs, indent=indent, ensure_ascii=ascii_only)
    assert told(answer) == list(json.loads(answer).items())
    assert not read_answer(answer).salvaged


@settings(deadline=None, max_examples=300)
@given(SHREDS)
@example('{"a": "b", "a": "c"}')
@example('{"a": ""}')
@example('{"a": {"b": "c"}}')
@example('[["a", "b"]]')
@example('{"a": "b"} trailing')
def test_exactly_strict_maps_are_not_salvaged(answer):
    items = strict_items(answer)
    assert read_answer(answer).salvaged is (items is None)
    if items is not None:
        assert dict(told(answer)) == dict(reversed(items))


# Repeated keys


def test_of_two_types_the_first_wins_and_the_other_is_reported():
    entity_map = read_answer('{"Jordan": "person", "Nike": "company", "Jordan": "country"}')
    assert [pair[:2] for pair in entity_map.pairs] == [("Jordan", "person"), ("Nike", "company")]
    assert entity_map.conflicts == [("Jordan", "person", "country")]


def test_a_third_type_is_reported_against_the_first():
    conflicts = read_answer('{"a": "x", "a": "y", "a": "z"}').conflicts
    assert conflicts == [("a", "x", "y"), ("a", "x", "z")]


def test_repeating_the_same_type_is_no_conflict():
    entity_map = read_answer('{"a": "x", "a": "x"}')
    assert len(entity_map.pairs) == 1
    assert entity_map.conflicts == []


def test_a_key_written_in_two_ways_is_the_same_key():
    assert read_answer('{"é": "x", "\\u00e9": "y"}').conflicts == [("é", "x", "y")]


# Broken answers


@settings(deadline=None, max_examples=60)
@given(MAPS.filter(bool))
def test_every_cut_salvages_exactly_the_pairs_complete_in_it(pairs):
    answer = write_answer(pairs.items())
    full = read_answer(answer).pairs
    for length in range(len(answer)):
        entity_map = read_answer(answer[:length])
        assert entity_map.pairs == [pair for pair in full if pair.end <= length]
        assert entity_map.salvaged


@settings(deadline=None, max_examples=30)
@given(MAPS.filter(bool), st.sampled_from(["ignore", "replace"]))
def test_every_cut_between_bytes_does_too(pairs, errors):
    answer = write_answer(pairs.items())
    full = read_answer(answer).pairs
    ends = {pair: len(answer[: pair.end].encode()) for pair in full}
    encoded = answer.encode()
    for length in range(len(encoded)):
        entity_map = read_answer(encoded[:length].decode("utf8", errors))
        assert entity_map.pairs == [pair for pair in full if ends[pair] <= length]
        assert entity_map.salvaged


@pytest.mark.parametrize(
    "answer, pairs",
    [
        ('Sure! {"Ada": "person"}', [("Ada", "person")]),
        ('```json\n{"Ada": "person"}\n```', [("Ada", "person")]),
        ('{"Ada": "person",}', [("Ada", "person")]),
        ('{"Ada": "person" "Rome": "city"}', [("Ada", "person"), ("Rome", "city")]),
        ('{"Ada": "person"}{"Rome": "city"}', [("Ada", "person"), ("Rome", "city")]),
        ('[{"Ada": "person"}, {"Rome": "city"}]', [("Ada", "person"), ("Rome", "city")]),
        ('{"entities": {"Ada": "person"}}', [("Ada", "person")]),
        ('{"Ada": "", "Rome": "city"}', [("Rome", "city")]),
        ('{"": "person", "Rome": "city"}', [("Rome", "city")]),
        ('{"Ada": null, "Rome": "city"}', [("Rome", "city")]),
        ('{"Ada": ["person"], "Rome": "city"}', [("Rome", "city")]),
        ('{"Ada": "person": "city"}', [("Ada", "person")]),
        ('{"Ada", "person"}', []),
        ("{'Ada': 'person'}", []),
        ('{"two\nlines": "poem"}', [("two\nlines", "poem")]),
        ('{"bad \\x escape": "error", "Rome": "city"}', [("Rome", "city")]),
        ("", []),
        ("null", []),
        ("I found none.", []),
    ],
)
def test_complete_pairs_of_a_broken_answer_are_kept(answer, pairs):
    assert told(answer) == pairs
    assert read_answer(answer).salvaged


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(), max_size=200) | SHREDS)
@example("\ud800")
@example('{"a": "\\ud800"}')
@example('{"n": ' + "9" * 5000 + "}")
def test_no_answer_raises_and_pairs_are_their_slices(answer):
    last = 0
    for pair in read_answer(answer).pairs:
        assert last <= pair.start < pair.end <= len(answer)
        written = json.loads("{" + answer[pair.start : pair.end] + "}", strict=False)
        assert written == {pair.surface: pair.type}
        last = pair.end


def test_slices_run_from_first_to_last_quote():
    answer = '{ "a" : "x",\n  "b":"y" }'
    slices = [answer[pair.start : pair.end] for pair in read_answer(answer).pairs]
    assert slices == ['"a" : "x"', '"b":"y"']


@pytest.mark.parametrize("nest", ["[", "{", '{"a":', '[{"a":['])
def test_deep_nesting_does_not_raise(nest):
    entity_map = read_answer(nest * 100_000)
    assert entity_map.pairs == []
    assert entity_map.salvaged


def test_a_pair_behind_deep_nesting_is_found():
    assert told("[" * 100_000 + '"Ada": "person"') == [("Ada", "person")]


@pytest.mark.parametrize(
    "pattern", ['"\\', '\\"', '"', "\\", '"\\"', '":"', ': "', '"a":"b\\"', " "]
)
def test_scanning_is_linear(pattern):
    # The shorter first: what is not linear then fails within seconds.
    for length in [25_000, 200_000]:
        answer = pattern * (length // len(pattern))
        begin = time.process_time()
        read_answer(answer)
        read_answer('"' + answer)
        assert time.process_time() - begin < 2


# Pairs of spans


def test_pairs_stand_in_the_order_of_first_occurrence():
    text = "Rome, Ada, Rome"
    spans = [(11, 15, "city"), (6, 9, "person"), (0, 4, "city")]
    assert pairs_from_spans(text, spans) == ([("Rome", "city"), ("Ada", "person")], [])


def test_of_spans_that_start_together_the_longer_comes_first():
    pairs, _ = pairs_from_spans("New York Times", [(0, 8, "city"), (0, 14, "newspaper")])
    assert pairs == [("New York Times", "newspaper"), ("New York", "city")]


def test_of_a_surface_with_two_types_the_first_in_the_text_wins():
    spans = [(7, 13, "country"), (0, 6, "person")]
    pairs, conflicts = pairs_from_spans("Jordan Jordan", spans)
    assert pairs == [("Jordan", "person")]
    assert conflicts == [("Jordan", "person", "country")]


def looping(news, repeats):
    pairs = [f'"{name}": "a"' for name in "xyz"[:news]] + ['"x": "a"'] * repeats
    return "{" + ", ".join(pairs)


NEWS = "x, y, z, new"


def test_four_repeated_pairs_in_a_row_are_a_loop():
    answer = looping(news=3, repeats=4)
    assert answer[: end_of_news(answer, NEWS)] == looping(news=3, repeats=0)


@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_fewer_repeated_pairs_are_none(repeats):
    assert end_of_news(looping(news=3, repeats=repeats), NEWS) is None


def test_a_new_surface_ends_a_run_of_repeated_ones():
    assert end_of_news(looping(1, 3) + ', "new": "a", "x": "a"', NEWS) is None


def test_four_surfaces_in_a_row_that_the_text_has_not_are_a_loop():
    counting = "".join(f', "{number}": "year"' for number in range(2001, 2005))
    assert end_of_news(looping(2, 0) + counting, NEWS) == len(looping(2, 0))
    assert end_of_news(looping(2, 0) + counting, f"{NEWS} 2004") is None


def test_a_surface_is_no_news_only_where_it_cannot_be_placed():
    written = '{"a": "x", "New York": "x", "caf\u00e9": "x", "b": "x"'
    assert end_of_news(written, "New\n York, cafe\u0301") is None


def test_half_of_a_surrogate_pair_is_no_string():
    entity_map = read_answer('{"a": "\\ud800", "\\udfff": "x", "\\ud83d\\ude00": "face"}')
    assert [(pair.surface, pair.type) for pair in entity_map.pairs] == [("😀", "face")]
    assert entity_map.salvaged
