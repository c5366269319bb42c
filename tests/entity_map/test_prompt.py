"""How a text and its types become a prompt."""

import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_nerllm.entity_map import SYSTEM_PROMPT, check_types, render_prompt

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SYSTEM_ONLY = "{{ messages[0].content }}"
TRIMMING = "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}"


class FakeTokenizer:
    """A tokenizer that can do nothing but render chats."""

    all_special_tokens = ["<|end|>"]

    def __init__(self, chat_template=CHATML):
        self.chat_template = chat_template

    def apply_chat_template(self, conversation, *, tokenize, chat_template, **variables):
        assert not tokenize
        return jinja2.Template(chat_template).render(messages=conversation, **variables)


def whole(prompt):
    return prompt.prefix + prompt.text + prompt.suffix


def test_pieces_make_up_the_template():
    prompt = render_prompt(FakeTokenizer(), "Ada lived.", ["person"], system_prompt="Tag.")
    assert whole(prompt) == (
        "<|system|>Tag.<|end|>\n<|user|>Types: person\nText:\nAda lived.<|end|>\n<|assistant|>"
    )


def test_descriptions_stand_behind_their_types():
    types = {"drug": "medicine given to patients", "dose": "", "city": " "}
    prompt = render_prompt(FakeTokenizer(), "Ada lived.", types)
    assert "Types: drug (medicine given to patients); dose; city\n" in prompt.prefix
    plain = render_prompt(FakeTokenizer(), "Ada lived.", dict.fromkeys(types, ""))
    assert plain == render_prompt(FakeTokenizer(), "Ada lived.", list(types))


@pytest.mark.parametrize("text", ["one; two", "one\ntwo", 7, None, "<|end|>"])
def test_a_description_that_cannot_stand_in_a_prompt_is_refused(text):
    with pytest.raises(ValueError, match="drug"):
        render_prompt(FakeTokenizer(), "Ada lived.", {"city": "", "drug": text})


def test_text_ends_the_users_turn():
    prompt = render_prompt(FakeTokenizer(), "Ada lived.", ["person", "city"])
    assert prompt.prefix.endswith("\nText:\n")
    assert prompt.suffix == "<|end|>\n<|assistant|>"


@settings(deadline=None, max_examples=60)
@given(st.text(), st.sampled_from([None, ["person", "city"]]))
def test_prefix_and_suffix_are_the_same_for_every_text(text, types):
    prompt = render_prompt(FakeTokenizer(), text, types)
    other = render_prompt(FakeTokenizer(), "another", types)
    assert (prompt.prefix, prompt.suffix) == (other.prefix, other.suffix)
    assert prompt.text == text


@pytest.mark.parametrize("text", ["{{ x }}", "<|end|>", "\ue000TEXT\ue000", "  \n two \n ", ""])
def test_text_is_never_changed(text):
    assert render_prompt(FakeTokenizer(TRIMMING), text).text == text


def test_the_text_comes_last_whatever_stands_before_it():
    prompt = render_prompt(FakeTokenizer(), "Ada", ["\ue000TEXT\ue000"])
    assert "Types: \ue000TEXT\ue000\nText:\n" in prompt.prefix
    assert "TEXT" not in prompt.suffix


def test_types_stand_in_the_order_given_separated_by_semicolons():
    prompt = render_prompt(FakeTokenizer(), "", ["type, with comma", "person", "AI model"])
    assert "Types: type, with comma; person; AI model\nText:\n" in prompt.prefix


def test_open_types_name_none():
    assert "Types" not in render_prompt(FakeTokenizer(), "").prefix


def test_a_template_that_is_missing_is_made_up_for():
    prompt = render_prompt(FakeTokenizer(None), "Ada lived.", system_prompt="Tag.")
    assert whole(prompt) == "Tag.\nText:\nAda lived.\n"


def test_a_template_that_drops_the_users_turn_raises():
    with pytest.raises(ValueError, match="drops the user's turn.*Tag this"):
        render_prompt(FakeTokenizer(SYSTEM_ONLY), "Ada lived.", system_prompt="Tag this")


def test_rendering_checks_the_types():
    with pytest.raises(ValueError, match="semicolon"):
        render_prompt(FakeTokenizer(), "", ["person;city"])


@pytest.mark.parametrize(
    "types, message",
    [
        ([], "list of at least one"),
        ([""], "outer white space"),
        (["person", " "], "outer white space"),
        (["person "], "'person '"),
        (["\tperson"], "outer white space"),
        ([7], "one is 7"),
        ([None], "one is None"),
        (["person;city"], "'person;city'"),
        (["two\nlines"], "line break"),
        (["two\rlines"], "line break"),
        (["two\u2028lines"], "line break"),
        (["person", "city", "person"], "repeat"),
    ],
)
def test_types_that_cannot_stand_in_a_prompt_raise(types, message):
    with pytest.raises(ValueError, match=message):
        check_types(types)


NAMES = st.text("aé語 ,:\"'|/", min_size=1).filter(lambda name: name == name.strip())


@settings(deadline=None, max_examples=60)
@given(st.lists(NAMES, min_size=1, unique=True))
def test_types_that_pass_can_be_read_back_from_the_prompt(types):
    check_types(types)
    prefix = render_prompt(FakeTokenizer(), "", types).prefix
    line = prefix.partition("Types: ")[2].partition("\nText:")[0]
    assert line.split("; ") == types


def test_the_shipped_instruction_is_short_and_shows_the_map():
    assert len(SYSTEM_PROMPT) <= 80
    assert len(SYSTEM_PROMPT.splitlines()) == 1
    assert '{"span": "type"}' in SYSTEM_PROMPT
