import larder
import pytest


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def cache(directory):
    with larder.Cache(directory) as opened:
        yield opened
