# Copyright (c) costa_mm authors. All rights reserved.
"""A cache of its own for every test, and a server to fill it from."""
import time

import huggingface_hub.constants
import huggingface_hub.file_download
import pytest

from .server import FileServer


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The folder of this test's weights."""
    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('COSTA_MM_MIRROR', raising=False)
    return tmp_path / 'home' / 'weights'


@pytest.fixture
def server(monkeypatch):
    """A server; the net is on, and retries do not wait."""
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
    monkeypatch.setattr(huggingface_hub.file_download.time, 'sleep',
                        lambda seconds: None)
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def slow(monkeypatch):
    """Waiting takes its time again."""
    monkeypatch.setattr(huggingface_hub.file_download.time, 'sleep',
                        time.sleep)
