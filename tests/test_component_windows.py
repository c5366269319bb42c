"""Long texts are read in windows, and none of their text is lost."""

from typing import Any

import pytest
from conftest import MakePipe, ents_of

SENTENCE = "Doctor Jane Doe met Marie Curie near Warsaw today."


def test_windows_cover_a_long_text_and_are_cut_at_sentences(make_pipe: MakePipe):
    text = " ".join([SENTENCE] * 20)
    nlp, generator = make_pipe({}, {"max_window_tokens": 100, "save_io": True})
    doc = nlp(text)
    windows = [prompt.text for prompt in generator.prompts]
    assert len(windows) > 3
    assert " ".join(windows) == text
    assert all(window.startswith("Doctor") and window.endswith(".") for window in windows)
    starts = [io["start"] for io in doc.user_data["nerllm_io"]["nerllm"]]
    assert [text[start:][: len(w)] for start, w in zip(starts, windows, strict=True)] == windows


def test_sentences_that_were_set_before_are_used(make_pipe: MakePipe):
    nlp, generator = make_pipe({}, {"max_window_tokens": 60})
    doc = nlp.make_doc("one two three four five six seven eight nine ten " * 3)
    for token in doc:
        token.is_sent_start = token.text == "three"
    nlp.get_pipe("nerllm")(doc)
    assert len(generator.prompts) > 1
    assert all(prompt.text.startswith("three") for prompt in generator.prompts[1:])


def test_setting_windows_sets_no_sentences(make_pipe: MakePipe):
    nlp, _ = make_pipe({}, {"max_window_tokens": 50})
    assert not nlp(" ".join([SENTENCE] * 5)).has_annotation("SENT_START")


@pytest.mark.parametrize("budget", [1, 7, 30, 64, 1000])
@pytest.mark.parametrize("text", [SENTENCE * 3, "  a  b\n\nc  " * 9, "語言。😀 naïve! " * 8])
def test_no_text_is_lost_between_windows(make_pipe: MakePipe, text: str, budget: int):
    nlp, generator = make_pipe({}, {"max_window_tokens": budget, "save_io": True})
    doc = nlp(text)
    covered = bytearray(len(text))
    for io, prompt in zip(doc.user_data["nerllm_io"]["nerllm"], generator.prompts, strict=True):
        end = io["start"] + len(prompt.text)
        assert text[io["start"] : end] == prompt.text
        assert not any(covered[io["start"] : end])
        covered[io["start"] : end] = b"x" * len(prompt.text)
    assert all(mark or char.isspace() for mark, char in zip(covered, text, strict=True))


def test_entities_of_later_windows_stand_where_they_are_in_the_doc(make_pipe: MakePipe):
    text = " ".join([SENTENCE] * 6)
    answer = '{"Marie Curie": "person"}'
    nlp, generator = make_pipe({SENTENCE: answer}, {"max_window_tokens": 40})
    doc = nlp(text)
    assert [prompt.text for prompt in generator.prompts] == [SENTENCE] * 6
    assert len(doc.ents) == text.count("Marie Curie") == 6


def test_a_window_over_the_context_is_left_out_with_a_warning(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    text = f"{'y' * 500} {SENTENCE}"
    config = {"max_window_tokens": 60, "max_new_tokens": 10}
    answers = {SENTENCE: '{"Warsaw": "place"}'}
    nlp, generator = make_pipe(answers, config, context_length=300)
    doc = nlp(text)
    assert "and the base model has room for" in caplog.text
    assert ents_of(doc) == [("Warsaw", "place")]
    assert nlp.get_pipe("nerllm").counts["skipped"] == 1


def test_answers_that_would_leave_no_room_for_a_text_are_refused(make_pipe: MakePipe):
    nlp, _ = make_pipe({}, {"max_new_tokens": 300}, context_length=300)
    with pytest.raises(ValueError, match="max_new_tokens=300 leaves no room for a text"):
        nlp(SENTENCE)


def test_no_prompt_and_answer_go_over_the_context(make_pipe: MakePipe, tiny_tokenizer: Any):
    length = 400
    config = {"max_window_tokens": 1000, "max_new_tokens": 100}
    nlp, generator = make_pipe({}, config, context_length=length)
    for words in range(1, 120, 4):
        nlp("word " * words)
    assert generator.prompts
    for prompt in generator.prompts:
        tokens = tiny_tokenizer("".join(prompt), add_special_tokens=False)["input_ids"]
        assert len(tokens) + 100 <= length
