"""The "nerllm" component: open-type entities from a small language model, as a spaCy pipe."""

import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Tuple,
    Union,
)

import srsly
from spacy.language import Language
from spacy.pipeline import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example
from spacy.vocab import Vocab
from thinc.api import Model

from .annotation import annotate
from .errors import Errors
from .generation.checkpoints import resolve_adapter
from .settings import Annotate, Dtype, Quantize, Settings, check_settings
from .tagging import Prediction, tag_docs

if TYPE_CHECKING:
    from .generation.protocol import Generator

# Of what is serialized. A change that older releases cannot read raises it.
_FORMAT = 1

# How many batches' worth of docs are held at once, to be sorted by length.
_BATCHES_HELD = 4

# Threads that share a pipeline load its model once.
_LOADING = threading.Lock()

_DEFAULTS = Settings()


@Language.factory(
    "nerllm",
    assigns=["doc.ents", "token.ent_iob", "token.ent_type", "doc.spans"],
    default_config={
        **_DEFAULTS.model_dump(),
        "scorer": {"@scorers": "spacy.ner_scorer.v1"},
    },
    default_score_weights={
        "ents_f": 1.0,
        "ents_p": 0.0,
        "ents_r": 0.0,
        "ents_per_type": None,
    },
)
def make_nerllm(
    nlp: Language,
    name: str,
    labels: Union[List[str], Dict[str, str], None],
    label_map: Dict[str, str],
    base: str,
    adapter: str,
    device: str,
    dtype: Dtype,
    quantize: Quantize,
    annotate: Annotate,
    spans_key: str,
    threshold: float,
    max_window_tokens: int,
    batch_tokens: int,
    max_new_tokens: int,
    constrain: bool,
    save_io: bool,
    scorer: Optional[Callable],
) -> "NerLLM":
    """Make the component. The arguments are those of `NerLLM`."""
    return NerLLM(
        nlp.vocab,
        name,
        labels=labels,
        label_map=label_map,
        base=base,
        adapter=adapter,
        device=device,
        dtype=dtype,
        quantize=quantize,
        annotate=annotate,
        spans_key=spans_key,
        threshold=threshold,
        max_window_tokens=max_window_tokens,
        batch_tokens=batch_tokens,
        max_new_tokens=max_new_tokens,
        constrain=constrain,
        save_io=save_io,
        scorer=scorer,
    )


class NerLLM(TrainablePipe):
    """Tags open-type named entities. The model is loaded when the first doc comes."""

    def __init__(
        self,
        vocab: Vocab,
        name: str = "nerllm",
        *,
        scorer: Optional[Callable] = None,
        **settings: Any,
    ) -> None:
        """vocab (Vocab): The shared vocabulary.
        name (str): The component's name in the pipeline.
        scorer (Optional[Callable]): Scores examples, for `nlp.evaluate`.
        **settings (Any): The fields of `Settings`.
        RAISES (ValueError): If a setting has a wrong type or value; the message names it.
        """
        # TrainablePipe expects a thinc model. The language model is held apart, to be loaded late.
        super().__init__(vocab, Model("nerllm", forward=_never), name)
        self.scorer = scorer
        self.settings = check_settings(**settings)
        # What was found wrong with answers so far, see `tag_docs`.
        self.counts: Counter = Counter()
        self._generator: Optional["Generator"] = None
        self._adapter_files: Dict[str, bytes] = {}

    @property
    def labels(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): The labels it can set; empty with open types."""
        # Two types may be renamed to one label.
        labels = self.settings.labels or ()
        return tuple(dict.fromkeys(self.settings.rename(label) for label in labels))

    @property
    def label_data(self) -> Tuple[str, ...]:
        """RETURNS (Tuple[str, ...]): The labels, for `spacy init labels`."""
        return self.labels

    @property
    def generator(self) -> "Generator":
        """RETURNS (Generator): The model, loaded on first use.

        RAISES (OSError): If base or adapter cannot be had.
        RAISES (ValueError): If they do not fit each other.
        """
        with _LOADING:
            if self._generator is None:
                self._generator = self._load_generator()
        return self._generator

    def _load_generator(self) -> "Generator":
        from .generation.local import LocalGenerator

        with tempfile.TemporaryDirectory() as folder:
            path = self._adapter_path(Path(folder))
            settings = self.settings
            return LocalGenerator.load(
                settings.base, path, settings.device, settings.dtype, settings.quantize
            )

    def _adapter_path(self, folder: Path) -> Path:
        """Where the adapter lies: the folder filled with that of a saved pipeline, or its own."""
        if not self._adapter_files:
            return resolve_adapter(self.settings.adapter)
        for file, content in self._adapter_files.items():
            (folder / file).write_bytes(content)
        return folder

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Tag a stream of docs. Each is yielded, in order, whatever happens to its neighbours.

        stream (Iterable[Doc]): The docs.
        batch_size (int): The most docs that are held at once.
        YIELDS (Doc): The docs. Those that failed have been given to the error handler, and have
            no entities of this component.
        """
        for docs in self._hold(stream, batch_size):
            # A model that cannot be loaded is no fault of a doc.
            _ = self.generator
            for doc, prediction in zip(docs, self._predict_each(docs), strict=True):
                if prediction is not None:
                    self._annotate(doc, prediction)
                yield doc

    def _hold(self, stream: Iterable[Doc], batch_size: int) -> Iterator[List[Doc]]:
        most_tokens = self.settings.batch_tokens * _BATCHES_HELD
        held: List[Doc] = []
        tokens = 0
        for doc in stream:
            held.append(doc)
            tokens += len(doc)
            if len(held) == batch_size or tokens >= most_tokens:
                yield held
                held, tokens = [], 0
        if held:
            yield held

    def _predict_each(self, docs: List[Doc]) -> List[Optional[Prediction]]:
        """Predict docs together, or one by one if that fails, so that only the bad ones fail."""
        try:
            return list(self.predict(docs))
        except Exception as error:
            if len(docs) == 1:
                self.get_error_handler()(self.name, self, docs, error)
                return [None]
            return [prediction for doc in docs for prediction in self._predict_each([doc])]

    def _annotate(self, doc: Doc, prediction: Prediction) -> None:
        try:
            self.set_annotations([doc], [prediction])
        except Exception as error:
            self.get_error_handler()(self.name, self, [doc], error)

    def predict(self, docs: Iterable[Doc]) -> List[Prediction]:
        """Find entities without setting them.

        docs (Iterable[Doc]): The docs.
        RETURNS (List[Prediction]): One for each doc.
        """
        return tag_docs(list(docs), self.generator, self.settings, self.counts)

    def set_annotations(self, docs: Iterable[Doc], predictions: Iterable[Prediction]) -> None:
        """Set doc.ents and doc.spans. Entities that a doc already has are kept, and no entity is
        set where one was blocked.

        docs (Iterable[Doc]): The docs.
        predictions (Iterable[Prediction]): From `predict`.
        """
        for doc, prediction in zip(docs, predictions, strict=True):
            annotate(doc, prediction, self.settings, self.name)

    def initialize(
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Optional[Language] = None,
        labels: Optional[List[str]] = None,
    ) -> None:
        """Do nothing: the adapter was trained before, and is loaded when the first doc comes.

        get_examples (Callable[[], Iterable[Example]]): Unused.
        nlp (Optional[Language]): Unused.
        labels (Optional[List[str]]): Unused.
        """

    def update(self, examples: Iterable[Example], **kwargs: Any) -> Dict[str, float]:
        """Not yet.

        RAISES (NotImplementedError): Always, with how to train.
        """
        raise NotImplementedError(Errors.E041)

    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save the adapter. The settings stand in the pipeline's config file, where they can be
        changed or overridden, and the base model is named there, not copied.

        path (Union[str, Path]): A folder, made where needed.
        exclude (Iterable[str]): Of "cfg" and "adapter", what to leave out.
        """
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        if "cfg" not in exclude:
            srsly.write_json(folder / "cfg", {"format": _FORMAT})
        if "adapter" not in exclude:
            (folder / "adapter").mkdir(exist_ok=True)
            for file, content in self._read_adapter().items():
                (folder / "adapter" / file).write_bytes(content)

    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "NerLLM":
        """Load the adapter.

        path (Union[str, Path]): A folder that `to_disk` wrote.
        exclude (Iterable[str]): Of "cfg" and "adapter", what to leave out.
        RETURNS (NerLLM): This component.
        RAISES (ValueError): If a newer release wrote it.
        """
        folder = Path(path)
        if "cfg" not in exclude:
            _check_format(srsly.read_json(folder / "cfg"), str(folder))
        if "adapter" not in exclude and (folder / "adapter").is_dir():
            self._restore_adapter(_read_files(folder / "adapter"))
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """Serialize the adapter; of the settings as `to_disk`.

        exclude (Iterable[str]): Of "cfg" and "adapter", what to leave out.
        RETURNS (bytes): The serialized form.
        """
        parts: Dict[str, Any] = {}
        if "cfg" not in exclude:
            parts["cfg"] = {"format": _FORMAT}
        if "adapter" not in exclude:
            parts["adapter"] = self._read_adapter()
        return srsly.msgpack_dumps(parts)

    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "NerLLM":
        """Load the adapter.

        bytes_data (bytes): From `to_bytes`.
        exclude (Iterable[str]): Of "cfg" and "adapter", what to leave out.
        RETURNS (NerLLM): This component.
        RAISES (ValueError): If a newer release wrote it.
        """
        parts = srsly.msgpack_loads(bytes_data)
        if "cfg" in parts and "cfg" not in exclude:
            _check_format(parts["cfg"], "this pipeline")
        if "adapter" in parts and "adapter" not in exclude:
            self._restore_adapter(parts["adapter"])
        return self

    def _read_adapter(self) -> Dict[str, bytes]:
        return self._adapter_files or _read_files(resolve_adapter(self.settings.adapter))

    def _restore_adapter(self, files: Dict[str, bytes]) -> None:
        self._adapter_files = files
        self._generator = None


def _never(model: Model, X: Any, is_train: bool) -> Any:
    raise NotImplementedError(Errors.E041)


def _check_format(config: Dict[str, Any], where: str) -> None:
    if config["format"] != _FORMAT:
        raise ValueError(Errors.E042.format(path=where, found=config["format"], known=_FORMAT))


def _read_files(folder: Path) -> Dict[str, bytes]:
    """What an adapter is made of; cards and the like stay behind."""
    names = ("adapter_config.json", "adapter_model.safetensors", "nerllm.json")
    return {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
