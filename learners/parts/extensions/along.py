"""What an extension chose for each request travels with the request, in its key-value cache.

Owns one more layer behind those of the model: it follows its rows wherever an engine repeats, reorders or drops them,
and two batches in turn do not mix. Called by kinds that choose when a prompt is read and hold to it afterwards.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.cache_utils import DynamicLayer

__all__ = ["chosen", "send"]


class _Along(DynamicLayer):
    """Values of each request as keys (rows x 1 x 1 x values), one position long."""


def send(past: Any, values: Tensor) -> None:
    """Send values (rows x any number) along with the rows of a cache that the model has filled."""
    layer = _Along()
    layer.update(values[:, None, None], values[:, None, None])
    past.layers.append(layer)


def chosen(past: Any) -> Tensor:
    """What was sent along, of the rows that are left.

    Raises:
        RuntimeError: nothing was; the cache was filled before the extension was there.
    """
    layer = past.layers[-1]
    if not isinstance(layer, _Along) or layer.keys is None:
        raise RuntimeError("this key-value cache was filled without the extension; read the prompt again with it")
    return layer.keys[:, 0, 0]
