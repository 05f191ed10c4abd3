"""One cache for data apps: a directory that any number of processes open at once and share at memory speed.

>>> import larder, tempfile
>>> cache = larder.Cache(tempfile.mkdtemp() + "/cache")
>>> cache["answer"] = 42
>>> cache["answer"]
42
>>> cache.set("session", {"user": "Ada"}, expire=60, tags=["sessions"])
True
>>> cache.get("nothing") is None
True
"""

from . import codec, errors  # noqa: F401 - they tell the extension of themselves
from .aio import AsyncCache
from .cache import Cache, Info, Report
from .codec import register_enum
from .errors import (CancelledError, CorruptError, DeniedError, ExistsError, InternalError, InvalidError, IoError,
                     LarderError, NoSpaceError, NotFoundError, TimeoutError, TooLargeError, UnavailableError,
                     UnsupportedError)

__version__ = "0.1.0"
__all__ = ["AsyncCache", "Cache", "CancelledError", "CorruptError", "DeniedError", "ExistsError", "Info",
           "InternalError", "InvalidError", "IoError", "LarderError", "NoSpaceError", "NotFoundError", "Report",
           "TimeoutError", "TooLargeError", "UnavailableError", "UnsupportedError", "register_enum"]
