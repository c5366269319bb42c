"""Records as lines of JSON."""

import pytest
import srsly
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_nerllm.corpus.records import read_records, write_records

STRINGS = st.text(st.sampled_from('"\\/\n\r\x00\x1f\u2028{}é🦉') | st.characters(codec="utf8"))
RECORDS = st.fixed_dictionaries(
    {
        "input": STRINGS,
        "output": st.dictionaries(STRINGS, STRINGS, max_size=4),
        "types": st.none() | st.lists(STRINGS, min_size=1, max_size=4),
        "lang": st.sampled_from(["de", "en", "xx"]),
        "source": STRINGS,
    }
)
GOOD = '{"input": "Ada", "output": {}}'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "train.jsonl"


# Each example writes the file anew.
ONE_FILE = [HealthCheck.function_scoped_fixture]


@settings(deadline=None, max_examples=80, suppress_health_check=ONE_FILE)
@given(st.lists(RECORDS, max_size=3))
def test_what_was_written_is_read(path, records):
    write_records(path, records)
    read = list(read_records(path))
    assert read == records
    assert [list(record["output"]) for record in read] == [
        list(record["output"]) for record in records
    ]


def test_a_missing_folder_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "train.jsonl"
    write_records(path, [])
    assert list(read_records(path)) == []


def test_types_lang_and_source_may_be_absent(path):
    path.write_text(GOOD, "utf8")
    assert list(read_records(path)) == [
        {"input": "Ada", "output": {}, "types": None, "lang": "xx", "source": ""}
    ]


@pytest.mark.parametrize(
    "faulty, problem",
    [
        ([], "no JSON object"),
        ("text", "no JSON object"),
        ({"output": {}}, "'input' is None"),
        ({"input": 7, "output": {}}, "'input' is 7"),
        ({"input": "a"}, "'output' is None"),
        ({"input": "a", "output": ["b"]}, "'output' is"),
        ({"input": "a", "output": {"b": None}}, "'output' is"),
        ({"input": "a", "output": {"b": ["c"]}}, "'output' is"),
        ({"input": "a", "output": {}, "types": []}, "'types' is"),
        ({"input": "a", "output": {}, "types": "person"}, "'types' is"),
        ({"input": "a", "output": {}, "types": ["person", 7]}, "'types' is"),
        ({"input": "a", "output": {}, "types": {}}, "'types' is"),
        ({"input": "a", "output": {}, "types": {"person": 7}}, "'types' is"),
    ],
)
def test_a_line_that_is_no_record_names_file_line_and_problem(path, faulty, problem):
    path.write_text(f"{GOOD}\n{srsly.json_dumps(faulty)}\n", "utf8")
    with pytest.raises(ValueError, match=problem) as error:
        list(read_records(path))
    assert str(error.value).startswith(f"{path}:2: ")


def test_the_line_is_counted_in_the_file_where_blank_lines_stand(path):
    path.write_text(f"{GOOD}\n\n\n[]\n", "utf8")
    with pytest.raises(ValueError, match=":4: "):
        list(read_records(path))


def test_a_line_that_is_no_json_names_file_and_line(path):
    path.write_text(f'{GOOD}\n{{"input": "cut\n', "utf8")
    with pytest.raises(ValueError) as error:
        list(read_records(path))
    assert str(error.value).startswith(f"{path}:2: ")


def test_records_before_a_faulty_line_are_still_read(path):
    path.write_text(f"{GOOD}\n[]\n", "utf8")
    assert next(read_records(path))["input"] == "Ada"
