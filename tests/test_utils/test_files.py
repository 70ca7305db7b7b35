# Copyright (c) costa_mm authors. All rights reserved.
"""Files that are written whole or not at all, and places for them."""
import gzip
import json
import os
import sys
import time

import pytest

from costa_mm.utils.files import (atomic_path, check_folder, check_name,
                                  check_output, is_leftover, remove_leftovers,
                                  write_json, write_text)


@pytest.mark.parametrize('durable', [True, False])
@pytest.mark.parametrize('error', [ValueError, KeyboardInterrupt])
def test_an_interrupted_writer_leaves_the_old_file(tmp_path, durable, error):
    path = tmp_path / 'a' / 'b.txt'
    write_text('old', path, durable)
    with pytest.raises(error):
        with atomic_path(path, durable) as part:
            assert part.endswith('.txt') and is_leftover(
                os.path.basename(part))
            open(part, 'w').close()
            raise error
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path / 'a') == ['b.txt']


@pytest.mark.parametrize('step', ['getmtime', 'remove'])
def test_a_file_that_is_finished_meanwhile_is_no_leftover(
        step, tmp_path, monkeypatch):
    for name in ('a', 'b'):
        (tmp_path / f'.{name}.host.1.writing.txt').write_text(name)
    module = os.path if step == 'getmtime' else os
    own = getattr(module, step)

    def late(path):
        if '.a.' in path and os.path.exists(path):
            os.rename(path, tmp_path / 'a.txt')
        return own(path)

    monkeypatch.setattr(module, step, late)
    remove_leftovers(str(tmp_path))
    assert os.listdir(tmp_path) == ['a.txt']


def write_often(folder, done):
    count = 0
    while not done.is_set():
        write_text('x', os.path.join(folder, f'{count % 50}.txt'))
        count += 1


def test_leftovers_are_looked_for_while_others_write(context, tmp_path):
    done = context.Event()
    writers = [context.Process(target=write_often, args=(str(tmp_path), done))
               for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        end = time.time() + 60
        while not list(tmp_path.glob('*.txt')):
            assert time.time() < end
        end = time.time() + 1
        while time.time() < end:
            remove_leftovers(str(tmp_path), 3600)
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]


def test_leftovers_of_a_kill_are_removed(tmp_path):
    with pytest.raises(FileNotFoundError):
        with atomic_path(tmp_path / 'a.txt') as part:
            open(part, 'w').close()
            os.rename(part, part.replace('.writing', '.9.writing'))
    (tmp_path / 'b.txt').touch()
    assert len(os.listdir(tmp_path)) == 2
    remove_leftovers(str(tmp_path))
    assert os.listdir(tmp_path) == ['b.txt']


@pytest.mark.parametrize('name', ['x' * 255, 'ü' * 120 + '.json', 'a.json'])
def test_names_as_long_as_they_may_be(tmp_path, name):
    write_json([1], tmp_path / name)
    assert json.loads((tmp_path / name).read_text()) == [1]
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize('text', ['ü 猫 😀', os.fsdecode(b'caf\xe9.mp4'),
                                  '\ud83d', 'a\\udce9'])
def test_any_text_is_json(tmp_path, text):
    for name in ('a.json', 'a.json.gz'):
        write_json({text: [text]}, tmp_path / name)
    data = (tmp_path / 'a.json').read_bytes()
    assert gzip.decompress((tmp_path / 'a.json.gz').read_bytes()) == data
    assert json.loads(data.decode()) == {text: [text]}


@pytest.mark.parametrize('name', ['', 'a\0b', '\ud83d', 'a/\ud800/b'])
def test_names_that_no_file_can_have(name):
    with pytest.raises(ValueError, match='name'):
        check_name(name)
    with pytest.raises(ValueError, match='name'):
        check_output('--out', name)


def test_places_of_files(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for path in (file, tmp_path / 'new', tmp_path / 'a' / 'b' / 'c.json',
                 os.path.join(tmp_path, os.fsdecode(b'\xff.json'))):
        check_output('--out', path)
    assert os.listdir(tmp_path) == ['file']  # nothing is made
    for path, error in ((tmp_path, IsADirectoryError),
                        (f'{tmp_path}/new/', IsADirectoryError),
                        (file / 'a.json', NotADirectoryError),
                        (file / 'a' / 'b.json', NotADirectoryError),
                        (tmp_path / ('x' * 256), ValueError)):
        with pytest.raises(error, match='--out|a name may have 255 bytes'):
            check_output('--out', path)
    with pytest.raises(NotADirectoryError, match='--show-dir .*file is a fi'):
        check_folder('--show-dir', file)


@pytest.mark.parametrize('above', [0, 1])
def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch, above):
    folder = tmp_path / 'a'
    folder.mkdir()
    # root may write everywhere: say what the system says to others
    monkeypatch.setattr(os, 'access', lambda p, mode: p != str(folder))
    check_folder('--out', tmp_path)
    with pytest.raises(PermissionError, match='a cannot be written to'):
        check_folder('--out', folder / 'b' if above else folder)


@pytest.mark.skipif(sys.platform != 'linux', reason='needs /proc')
def test_where_nothing_can_be_made():
    with pytest.raises(OSError):
        write_text('x', '/proc/nothing/here.txt')
