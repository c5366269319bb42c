"""What the component takes, and what it says of the rest."""

import pytest
from confection import Config
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_nerllm.settings import Settings, check_settings


def test_without_any_setting_the_defaults_hold():
    defaults = check_settings()
    assert defaults == Settings()
    assert defaults.labels is None
    assert (defaults.annotate, defaults.device, defaults.dtype) == ("both", "auto", "auto")


def test_settings_are_kept_as_given():
    given_ = {
        "labels": ["person", "city"],
        "label_map": {"person": "PER"},
        "base": "/models/base",
        "adapter": "someone/adapter",
        "device": "cuda:1",
        "dtype": "bfloat16",
        "quantize": "none",
        "annotate": "spans",
        "spans_key": "sc",
        "threshold": 0.5,
        "max_window_tokens": 100,
        "batch_tokens": 1,
        "max_new_tokens": 7,
        "constrain": True,
        "save_io": True,
    }
    assert check_settings(**given_).model_dump() == given_
    assert set(given_) == set(Settings.model_fields)


@pytest.mark.parametrize("threshold", [0.0, 1.0, 0.25])
def test_a_threshold_from_zero_to_one_is_taken(threshold):
    assert check_settings(threshold=threshold).threshold == threshold


@pytest.mark.parametrize(
    "field, value",
    [
        ("labels", "person"),
        ("labels", []),
        ("labels", [""]),
        ("labels", [7]),
        ("labels", [" person"]),
        ("labels", ["person;city"]),
        ("labels", ["two\nlines"]),
        ("labels", ["person", "person"]),
        ("label_map", ["person"]),
        ("label_map", {"person": ""}),
        ("label_map", {"": "PER"}),
        ("label_map", {"person": 7}),
        ("label_map", {"a:b": "X"}),
        ("label_map", {"a=b": "X"}),
        ("label_map", {"two\nlines": "X"}),
        ("label_map", {"#tag": "X"}),
        ("label_map", {";": "X"}),
        ("label_map", {"[x]": "X"}),
        ("label_map", {"@misc": "X"}),
        ("label_map", {" person": "X"}),
        ("label_map", {"person\t": "X"}),
        ("label_map", {"person": "${x}"}),
        ("spans_key", "${x}"),
        ("base", ""),
        ("base", None),
        ("adapter", ""),
        ("device", ""),
        ("device", "gpu"),
        ("device", "cuda:"),
        ("base", "a$b"),
        ("label_map", {"money": "US$"}),
        ("labels", ["price in $"]),
        ("dtype", "int8"),
        ("annotate", "doc"),
        ("spans_key", ""),
        ("threshold", -0.1),
        ("threshold", 1.1),
        ("threshold", float("nan")),
        ("threshold", "0.5"),
        ("max_window_tokens", 0),
        ("max_window_tokens", 2.5),
        ("max_window_tokens", "256"),
        ("batch_tokens", -1),
        ("max_new_tokens", True),
        ("save_io", "yes"),
        ("save_io", 1),
        ("labells", ["person"]),
    ],
)
def test_what_cannot_be_names_the_field(field, value):
    with pytest.raises(ValueError, match=f"^nerllm: the setting '{field}"):
        check_settings(**{field: value})


@pytest.mark.parametrize("field, value", [("annotate", "doc"), ("base", ""), ("batch_tokens", -1)])
def test_the_message_holds_the_value(field, value):
    with pytest.raises(ValueError, match=f"'{field}' cannot be {value!r}: "):
        check_settings(**{field: value})


def test_a_faulty_item_names_the_field_and_its_place():
    with pytest.raises(ValueError, match="'labels.1' cannot be 7"):
        check_settings(labels=["person", 7])


def test_a_message_may_hold_braces():
    with pytest.raises(ValueError, match="{field}"):
        check_settings(annotate="{field}")


def test_default_lists_and_maps_are_not_shared():
    check_settings().label_map["person"] = "PER"
    assert check_settings().label_map == {}


KEYS = st.text("aB é語 :=#;[]\n\t.$%\"'{}\\", min_size=1, max_size=6)


def accepted(label_map):
    try:
        return check_settings(label_map=label_map).label_map
    except ValueError:
        return None


@settings(deadline=None, max_examples=300)
@given(KEYS)
@example("person")
def test_a_label_map_that_is_taken_survives_a_config_file(key):
    label_map = accepted({key: "PER"})
    if label_map is not None:
        config = Config({"components": {"nerllm": {"label_map": label_map}}})
        assert Config().from_str(config.to_str()) == config
