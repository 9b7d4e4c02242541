"""Results that depend on one image only, cached on the backend while many registrations share that image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")

MOST_RESULTS = 4
"""Results cached per image; the oldest is dropped when another one comes."""


class ImageCache(threading.local):
    """Per-thread cache, weakly keyed by image; only images passed to `share` are cached.

    A result may not refer to its image, or neither would ever be freed. Each thread has a cache of its own: on a GPU,
    work of one thread may still be queued when another one asks.

    Examples
    --------
    >>> import numpy as np
    >>> from warpline.space.grid import Grid
    >>> from warpline.images import Image
    >>> cache, template = ImageCache(), Image(np.ones((2, 2, 2)), Grid((2, 2, 2), np.eye(4)))
    >>> cache.share(template)
    >>> cache.get(template, "voxels", lambda: template.data.size)
    8
    >>> cache.get(template, "voxels", lambda: "not computed again")
    8
    """

    def __init__(self) -> None:
        self._results: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()

    def __len__(self) -> int:
        """Number of images that this thread shares."""
        return len(self._results)

    def share(self, image: Any) -> None:
        """Cache results of this thread for `image`, such as the template of a cohort, from now on."""
        self._results.setdefault(image, {})

    def is_shared(self, image: Any) -> bool:
        """Whether this thread caches results for `image`."""
        return image in self._results

    def get(self, image: Any, key: Hashable, make: Callable[[], Result]) -> Result:
        """The result of `make`, from an earlier call with this key where `image` is shared; nobody may write to it."""
        results = self._results.get(image)
        if results is None:
            return make()
        if key not in results:
            while len(results) >= MOST_RESULTS:
                del results[next(iter(results))]
            results[key] = make()
        result: Result = results[key]
        return result
