"""Label-free named entity recognition with a small language model, as a spaCy component."""

from .about import __version__

__all__ = ["__version__"]
