"""The settings of the component: checked once, with a message that names the field."""

from typing import Annotated, Any, Dict, List, Literal, Union

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from .entity_map import Types, check_types
from .errors import Errors
from .generation.checkpoints import DEFAULT_ADAPTER, DEFAULT_BASE

Annotate = Literal["ents", "spans", "both"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
Quantize = Literal["auto", "none", "int8", "int4"]

_Count = Annotated[StrictInt, Field(gt=0)]
_Name = Annotated[StrictStr, Field(min_length=1)]


class Settings(BaseModel):
    """What `nlp.add_pipe("nerllm", config=...)` takes, but for the scorer.

    labels (Union[List[str], Dict[str, str], None]): Types to choose from, or each with a
        description, which may be empty. None: open types, the model names them.
    label_map (Dict[str, str]): Renames types, as {"person": "PERSON"}.
    base (str): Base model: "smollm2-135m", a folder, or a Hub id.
    adapter (str): Adapter: "default" for the packaged one, a folder, or a Hub id.
    device (str): "auto", "cpu", "cuda", "cuda:1", "mps".
    dtype (str): "auto", "float32", "bfloat16" or "float16".
    quantize (str): Bits of the model's matrices: "auto", "none", "int8" or "int4". By itself, with
        dtype="auto", "int8" on the CPU and "none" elsewhere.
    annotate (str): What to set: doc.ents ("ents"), doc.spans ("spans") or both.
    spans_key (str): Key of doc.spans.
    threshold (float): The least score of a span that is kept, from 0 to 1.
    max_window_tokens (int): Tokens of the base model in one window of a long text.
    batch_tokens (int): About how many tokens of prompts and answers are held at once.
    max_new_tokens (int): The most tokens of one answer.
    constrain (bool): Let the model write nothing but a strict map of surfaces of the text.
    save_io (bool): Keep prompts and answers in doc.user_data["nerllm_io"].
    """

    model_config = ConfigDict(extra="forbid", validate_default=True)

    labels: Union[List[_Name], Dict[_Name, StrictStr], None] = None
    label_map: Dict[_Name, _Name] = {}
    base: _Name = DEFAULT_BASE
    adapter: _Name = DEFAULT_ADAPTER
    device: Annotated[StrictStr, Field(pattern=r"^(auto|(cpu|cuda|mps|xpu)(:\d+)?)$")] = "auto"
    dtype: Dtype = "auto"
    quantize: Quantize = "auto"
    annotate: Annotate = "both"
    spans_key: _Name = "nerllm"
    threshold: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.0
    max_window_tokens: _Count = 256
    batch_tokens: _Count = 12288
    max_new_tokens: _Count = 512
    constrain: StrictBool = False
    save_io: StrictBool = False

    def rename(self, type_: str) -> str:
        """What `label_map` makes of a type.

        type_ (str): The type.
        RETURNS (str): The label to set.
        """
        return self.label_map.get(type_, type_)


def check_settings(**values: Any) -> Settings:
    """Check settings.

    **values (Any): As in `Settings`.
    RETURNS (Settings): The settings.
    RAISES (ValueError): If one has a wrong type or value; the message names it.
    """
    try:
        settings = Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        # Without pydantic's names of the kinds that a setting may be of.
        parts = [str(part) for part in first["loc"]]
        field = ".".join(part for part in parts if not part.startswith(("list[", "dict[")))
        raise ValueError(
            Errors.E040.format(field=field, value=first["input"], problem=first["msg"])
        ) from None
    if settings.labels is not None:
        _check_labels(settings.labels)
    _check_config_file(settings)
    return settings


def _check_config_file(settings: Settings) -> None:
    """A saved pipeline's config file must be able to hold the settings."""
    described = settings.labels if isinstance(settings.labels, dict) else {}
    keys = [("label_map", name) for name in settings.label_map]
    keys += [("labels", name) for name in described]
    for field, name in keys:
        if any(char in name for char in ":=\n") or name[0] in "#;[@" or name != name.strip():
            problem = (
                "a key of a config file cannot hold ':' or '=', nor start with '#', ';', '[', '@' "
                "or white space"
            )
            raise ValueError(Errors.E040.format(field=field, value=name, problem=problem))
    for field, value in settings.model_dump().items():
        if "$" in str(value):
            problem = "a config file cannot hold '$', which starts a variable there"
            raise ValueError(Errors.E040.format(field=field, value=value, problem=problem))


def _check_labels(labels: Types) -> None:
    try:
        check_types(labels)
    except ValueError as error:
        raise ValueError(Errors.E040.format(field="labels", value=labels, problem=error)) from None
