"""DiskCache's API on Larder: ``from larder import diskcache``, and what was written for DiskCache 5 runs.

>>> from larder import diskcache
>>> cache = diskcache.Cache()
>>> cache.set("key", {"any": "object"}, expire=60, tag="things")
True
>>> cache.get("key", tag=True)
({'any': 'object'}, 'things')

What has no rule in docs/format/values.md is pickled, as DiskCache does: open only directories whose writers are trusted.
docs/guide/diskcache.md has the differences.
"""

from .core import (DEFAULT_SETTINGS, ENOVAL, EVICTION_POLICY, UNKNOWN, Cache, Disk, EmptyDirWarning, JSONDisk, Timeout,
                   UnknownFileWarning)
from .fanout import FanoutCache
from .persistent import Deque, Index
from .recipes import Averager, BoundedSemaphore, Lock, RLock, barrier, memoize_stampede, throttle

__all__ = ["Averager", "BoundedSemaphore", "Cache", "DEFAULT_SETTINGS", "Deque", "Disk", "ENOVAL", "EVICTION_POLICY",
           "EmptyDirWarning", "FanoutCache", "Index", "JSONDisk", "Lock", "RLock", "Timeout", "UNKNOWN",
           "UnknownFileWarning", "barrier", "memoize_stampede", "throttle"]

try:
    from .djangocache import DjangoCache  # noqa: F401
    __all__.append("DjangoCache")
except Exception:  # as DiskCache: Django is not there, or not set up
    pass
