# Copyright (c) costa_mm authors. All rights reserved.
"""Fetching: what goes wrong on the way, and what is then said."""
import hashlib
import io
import multiprocessing
import os
import resource
import sys
import threading
import types
from importlib.machinery import ModuleSpec
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from costa_mm.weights import WeightSource, WeightsUnavailableError
from costa_mm.weights import cache as cache_module
from costa_mm.weights import fetch, resolve_weights, transfer


def packed(value=0.0, count=5000) -> bytes:
    """A file of torch.save."""
    buffer = io.BytesIO()
    torch.save({'w': torch.full((count, ), value)}, buffer)
    return buffer.getvalue()


DATA = packed()


@pytest.fixture
def source(server):
    server.files['/model.pth'] = DATA
    return WeightSource(f'{server.url}/model.pth', size='0.03 MB')


def test_fetched_once_and_through_a_redirection(server, source, cache):
    server.moved['/old/model.pth'] = '/model.pth'
    address = f'{server.url}/old/model.pth'
    path = resolve_weights(address)
    assert path == str(cache / 'model.pth')
    assert Path(path).read_bytes() == DATA
    assert resolve_weights(address) == path
    assert server.fetched('/model.pth') == 1
    assert {p.name for p in cache.iterdir()} <= {'model.pth',
                                                 'model.pth.lock'}


def test_a_cut_is_continued(server, source, cache, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, 'DOWNLOAD_CHUNK_SIZE',
                        4096)
    server.cuts['/model.pth'] = 9000
    path = fetch(source)
    assert Path(path).read_bytes() == DATA
    spans = [span for _, _, span in server.log]
    assert spans == [None, 'bytes=8192-']


def test_what_an_interrupted_process_left_is_continued(server, source, cache):
    cache.mkdir(parents=True)
    (cache / 'model.pth.part').write_bytes(DATA[:9000])
    assert Path(fetch(source)).read_bytes() == DATA
    assert server.log == [('GET', '/model.pth', 'bytes=9000-')]


def test_a_whole_part_is_not_lost(server, source, cache):
    cache.mkdir(parents=True)
    (cache / 'model.pth.part').write_bytes(DATA)
    assert Path(fetch(source)).read_bytes() == DATA


def test_a_part_of_another_file_is_not_believed(server, source, cache):
    cache.mkdir(parents=True)
    (cache / 'model.pth.part').write_bytes(packed(7.)[:9000])
    with pytest.raises(WeightsUnavailableError, match='damaged'):
        fetch(source)
    # and does not poison the next try
    assert Path(fetch(source)).read_bytes() == DATA


def test_the_checksum_is_checked(server, source, cache):
    digest = hashlib.sha256(DATA).hexdigest()
    good = WeightSource(source.address, sha256=digest[:12])
    assert Path(fetch(good)).read_bytes() == DATA
    os.remove(cache / 'model.pth')
    bad = WeightSource(source.address, sha256='0' * 64)
    with pytest.raises(WeightsUnavailableError) as error:
        fetch(bad)
    assert digest in str(error.value) and '0' * 64 in str(error.value)
    assert [p.name for p in cache.iterdir()] == ['model.pth.lock']


def test_the_name_can_carry_the_checksum(server, cache):
    digest = hashlib.sha256(DATA).hexdigest()[:8]
    server.files[f'/m-{digest}.pth'] = server.files['/m-00000000.pth'] = DATA
    fetch(WeightSource(f'{server.url}/m-{digest}.pth'))
    with pytest.raises(WeightsUnavailableError, match='not 00000000'):
        fetch(WeightSource(f'{server.url}/m-00000000.pth'))
    server.files['/m-20240131.pth'] = DATA  # that is a date
    fetch(WeightSource(f'{server.url}/m-20240131.pth'))


def test_a_moved_address_says_what_can_be_done(server, cache):
    source = WeightSource(
        f'{server.url}/gone.pth', size='3.0 GB', sha256='ab' * 32)
    with pytest.raises(WeightsUnavailableError) as error:
        fetch(source)
    text = str(error.value)
    for part in ('404', f'{server.url}/gone.pth', 'gone.pth, 3.0 GB',
                 'ab' * 32, str(cache), 'COSTA_MM_MIRROR'):
        assert part in text, part


def test_a_web_page_is_no_checkpoint(server, cache):
    server.files['/model.pth'] = b'\n<!DOCTYPE html><html>sign in</html>'
    with pytest.raises(WeightsUnavailableError, match='a web page'):
        fetch(WeightSource(f'{server.url}/model.pth'))
    assert not (cache / 'model.pth').exists()


def test_no_network(server, cache, monkeypatch):
    server.close()
    source = WeightSource(f'{server.url}/model.pth')
    with pytest.raises(WeightsUnavailableError, match='onnect'):
        fetch(source)
    # put there by hand
    (cache / 'model.pth').write_bytes(DATA)
    assert fetch(source) == str(cache / 'model.pth')


def test_the_hubs_switch_for_offline_counts(server, source, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
    with pytest.raises(WeightsUnavailableError, match='(?i)offline'):
        fetch(source)


def test_a_mirror_by_address_and_by_folder(server, cache, tmp_path,
                                           monkeypatch):
    page = WeightSource('page:https://disk.example.org/link/AA', 'them.pth',
                        size='3.1 GB')
    with pytest.raises(WeightsUnavailableError) as error:
        fetch(page)
    assert 'https://disk.example.org/link/AA' in str(error.value)
    assert 'cannot fetch it from that page' in str(error.value)
    folder = tmp_path / 'shared'
    folder.mkdir()
    (folder / 'them.pth').write_bytes(DATA)
    monkeypatch.setenv('COSTA_MM_MIRROR', str(folder))
    assert fetch(page) == str(folder / 'them.pth')  # used where it lies
    server.files['/weights/them.pth'] = DATA
    monkeypatch.setenv('COSTA_MM_MIRROR', f'{server.url}/weights/')
    monkeypatch.setattr(cache_module, '_check_space', lambda *args: None)
    assert fetch(page) == str(cache / 'them.pth')


def test_a_mirror_that_lacks_the_file_is_passed_by(server, source,
                                                   monkeypatch):
    monkeypatch.setenv('COSTA_MM_MIRROR', f'{server.url}/nothing/here')
    assert Path(fetch(source)).read_bytes() == DATA


def test_google_drive(server, cache, monkeypatch):
    source = WeightSource('gdrive://abc', 'drive.pth')
    assert source.readable == 'https://drive.google.com/file/d/abc/view'
    server.files['/download'] = DATA
    monkeypatch.setattr(WeightSource, 'url', f'{server.url}/download?id=abc')
    monkeypatch.setattr(transfer.importlib.util, 'find_spec',
                        lambda name: None)  # without gdown
    assert Path(fetch(source)).read_bytes() == DATA


def test_google_drive_with_gdown(cache, monkeypatch):
    def download(id, output, resume):
        assert (id, resume) == ('abc', True)
        Path(output).write_bytes(DATA)

    gdown = types.ModuleType('gdown')
    gdown.download = download
    gdown.__spec__ = ModuleSpec('gdown', None)
    monkeypatch.setitem(sys.modules, 'gdown', gdown)
    source = WeightSource('gdrive://abc', 'drive.pth')
    assert Path(fetch(source)).read_bytes() == DATA
    os.remove(cache / 'drive.pth')
    gdown.download = lambda **kwargs: None  # as old versions fail
    with pytest.raises(WeightsUnavailableError, match='gdown'):
        fetch(source)


def test_two_processes_fetch_once(server, cache):
    server.files['/large.pth'] = packed(1., 2_000_000)
    context = multiprocessing.get_context('fork')
    runs = [
        context.Process(
            target=fetch, args=(WeightSource(f'{server.url}/large.pth'), ))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join(30)
    assert [run.exitcode for run in runs] == [0, 0]
    assert (cache / 'large.pth').read_bytes() == server.files['/large.pth']
    assert server.fetched('/large.pth') == 1


def test_one_waits_while_another_fetches(server, source, cache):
    cache.mkdir(parents=True)
    done = []
    with cache_module.locked(str(cache / 'model.pth')):
        thread = threading.Thread(target=lambda: done.append(fetch(source)))
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and not server.log
        (cache / 'model.pth').write_bytes(DATA)  # as the other one would
    thread.join(10)
    assert done == [str(cache / 'model.pth')] and not server.log


@pytest.mark.parametrize('kind', ['a file', 'below a file'])
def test_a_cache_that_cannot_be_written(server, source, cache, kind,
                                        monkeypatch):
    # permissions do not stop root, a file in the place of a folder does
    place = cache.parent if kind == 'below a file' else cache
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text('')
    with pytest.raises(WeightsUnavailableError) as error:
        fetch(source)
    assert 'cannot be written' in str(error.value)
    assert 'COSTA_MM_HOME' in str(error.value)


def test_a_full_disk_while_fetching(server, cache):
    server.files['/model.pth'] = packed(1., 100_000)
    source = WeightSource(f'{server.url}/model.pth')
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(WeightsUnavailableError, match='has no room'):
            fetch(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    # with room again it goes on from there
    assert Path(fetch(source)).read_bytes() == server.files['/model.pth']
    assert server.log[-1][2] == 'bytes=100000-'


def test_a_disk_that_is_too_small_is_told_before(server, cache, monkeypatch):
    server.files['/model.pth'] = DATA
    source = WeightSource(f'{server.url}/model.pth', size='99000000 GB')
    with pytest.raises(WeightsUnavailableError, match='has no room'):
        fetch(source)
    assert server.log == []


def test_addresses():
    hub = WeightSource('hf://Gstar666/CGSTVG/hcstvg.pth')
    assert hub.file == 'hcstvg.pth'
    assert hub.url.endswith('/Gstar666/CGSTVG/resolve/main/hcstvg.pth')
    other = WeightSource('hf://a/b@v2/folder/c.pth')
    assert other.url.endswith('/a/b/resolve/v2/folder/c.pth')
    assert WeightSource('https://x.org/d/e.pth?download=1').file == 'e.pth'
    with pytest.raises(ValueError, match='no address'):
        WeightSource('ftp://x.org/e.pth')
    with pytest.raises(ValueError, match='under which name'):
        WeightSource('gdrive://1234')
    with pytest.raises(ValueError, match='under which name'):
        WeightSource('gdrive://1234', file='../e.pth')


@pytest.mark.parametrize('name, message', [
    ('no/such.pth', 'there is no checkpoint no/such.pth'),
    ('no_such_model', 'there are, with weights: .*costa_tiny_synthetic'),
    ('costa_hcstvg', 'no weights of'),
])
def test_what_is_not_there(name, message):
    with pytest.raises(FileNotFoundError, match=message):
        resolve_weights(name)
