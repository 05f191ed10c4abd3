from typing import Any, Callable, Generic, Iterable, Optional, Sequence, TypeVar, Union

from typing_extensions import ParamSpec

from .cache import Cache

_P = ParamSpec("_P")
_R = TypeVar("_R", covariant=True)

class Memoized(Generic[_P, _R]):
    __wrapped__: Callable[_P, _R]
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    def cache_key(self, *args: _P.args, **kwargs: _P.kwargs) -> Any: ...
    def forget(self, *args: _P.args, **kwargs: _P.kwargs) -> bool: ...

class Decorator:
    def __call__(self, function: Callable[_P, _R]) -> Memoized[_P, _R]: ...

def memoize(cache: Cache, name: Optional[str] = None, *, expire: Optional[float] = None,
            tags: Union[str, Iterable[str], None] = None, typed: bool = False,
            ignore: Union[str, int, Sequence[Union[str, int]]] = (), key: Optional[Callable[..., Any]] = None,
            cache_if: Optional[Callable[[Any], bool]] = None, source: bool = False) -> Decorator: ...
