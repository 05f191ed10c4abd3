"""What Larder refuses, as exceptions: one class for each code of larder/result.h, each also a built-in kind."""

import builtins

from . import _larder


class LarderError(Exception):
    """Everything that Larder raises about the world. The message names the thing, the place and the way out."""


class InvalidError(LarderError, ValueError):
    """An argument is out of range."""


class NotFoundError(LarderError, FileNotFoundError):
    """The thing named does not exist."""


class ExistsError(LarderError, FileExistsError):
    """It exists already, and must not."""


class UnsupportedError(LarderError):
    """A version that this build does not know."""


class CorruptError(LarderError):
    """Bytes that Larder wrote are not what was written."""


class NoSpaceError(LarderError, OSError):
    """The disk is full, or the limit is reached and nothing may be evicted."""


class TooLargeError(LarderError, ValueError):
    """A key or a value over the limit."""


class TimeoutError(LarderError, builtins.TimeoutError):
    """The deadline passed; nothing was written."""


class CancelledError(LarderError):
    """Whoever was told of the progress ended the work."""


class DeniedError(LarderError, PermissionError):
    """Not allowed: opened read-only, or by the file system."""


class UnavailableError(LarderError):
    """What is needed cannot be reached now; trying later may help."""


class IoError(LarderError, OSError):
    """The operating system refused."""


class InternalError(LarderError):
    """A defect in Larder; please report it."""


_larder._set_errors(dict(enumerate([
    # In the order of larder::Code.
    InvalidError, NotFoundError, ExistsError, UnsupportedError, CorruptError, NoSpaceError, TooLargeError, TimeoutError,
    CancelledError, DeniedError, UnavailableError, IoError, InternalError])))
