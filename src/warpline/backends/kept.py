"""What depends on one image only, and stays on the backend while many registrations share that image."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

Result = TypeVar("Result")


MOST = 4
"""Results of one owner; the oldest goes when another one comes."""


class Kept(threading.local):
    """Results by owner; only owners that were announced by `share` have any, and they take them along when they go.

    A result may not refer to its owner. Each thread has its own: on a GPU, work of one thread may still be queued when
    another one asks.
    """

    def __init__(self) -> None:
        self._stores: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()

    def share(self, owner: Any) -> None:
        """Keep what this thread makes of `owner`, such as the template of a cohort, from now on."""
        self._stores.setdefault(owner, {})

    def is_shared(self, owner: Any) -> bool:
        """Whether this thread keeps what it makes of `owner`."""
        return owner in self._stores

    def get(self, owner: Any, key: Hashable, make: Callable[[], Result]) -> Result:
        """The result of `make`, from an earlier call with this key where `owner` is shared; nobody may write to it."""
        store = self._stores.get(owner)
        if store is None:
            return make()
        if key not in store:
            while len(store) >= MOST:
                del store[next(iter(store))]
            store[key] = make()
        result: Result = store[key]
        return result
