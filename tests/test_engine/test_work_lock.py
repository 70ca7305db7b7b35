# Copyright (c) costa_mm authors. All rights reserved.
"""One run at a time in a work folder."""
import errno
import fcntl
import multiprocessing
import os
import signal
import socket
import time

import pytest
from engine_toy import final_state, toy_config, train, train_rank

from costa_mm.engine import STVGRunner
from costa_mm.engine.work_lock import (LOCK_FILE, FolderInUseError,
                                       hold_folder, release_folder)

FORK = multiprocessing.get_context('fork')


def hold(folder, ready, leave=None):
    """Hold a folder until told; with a child that lives on."""
    hold_folder(folder)
    if FORK.get_start_method() == 'fork' and leave is not None:
        child = FORK.Process(target=time.sleep, args=(20, ))
        child.start()
        leave.value = child.pid
    ready.set()
    time.sleep(60)


@pytest.fixture
def holder(tmp_path):
    """A process that holds the folder, with a data worker of its own."""
    ready, child = FORK.Event(), FORK.Value('i', 0)
    process = FORK.Process(target=hold, args=(str(tmp_path), ready, child))
    process.start()
    assert ready.wait(30)
    yield process
    process.kill()
    process.join()
    try:
        os.kill(child.value, signal.SIGKILL)
    except ProcessLookupError:
        pass


def test_the_second_one_is_told_who_holds_it(holder, tmp_path):
    with pytest.raises(FolderInUseError) as error:
        hold_folder(str(tmp_path))
    assert f'process {holder.pid} on {socket.gethostname()}' in str(
        error.value)
    # not even under another name
    link = tmp_path.with_name(f'{tmp_path.name}_link')
    link.symlink_to(tmp_path)
    with pytest.raises(FolderInUseError):
        hold_folder(str(link))


def test_a_kill_leaves_no_lock(holder, tmp_path):
    holder.kill()
    holder.join()
    assert (tmp_path / LOCK_FILE).exists()
    hold_folder(str(tmp_path))  # though its data worker lives on
    release_folder(str(tmp_path))
    assert not (tmp_path / LOCK_FILE).exists()


def test_a_process_may_come_back_and_its_children_may_not(tmp_path):
    hold_folder(str(tmp_path))
    hold_folder(str(tmp_path))
    outcome = FORK.Queue()

    def attempt():
        try:
            hold_folder(str(tmp_path))
            outcome.put('held')
        except FolderInUseError:
            outcome.put('refused')

    child = FORK.Process(target=attempt)
    child.start()
    assert outcome.get(timeout=30) == 'refused'
    child.join()
    release_folder(str(tmp_path))
    release_folder(str(tmp_path))


def test_a_garbled_lock_file_is_no_hindrance(tmp_path):
    (tmp_path / LOCK_FILE).write_bytes(b'\xff\x00 not JSON')
    hold_folder(str(tmp_path))
    release_folder(str(tmp_path))


@pytest.mark.parametrize('code', [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    def refuse(*args):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, 'lockf', refuse)
    hold_folder(str(tmp_path))
    release_folder(str(tmp_path))


def test_a_second_run_refuses_at_once(holder, tmp_path):
    (tmp_path / 'last_checkpoint').write_text('of the first one')
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(FolderInUseError, match=f'process {holder.pid} on'):
        STVGRunner.from_cfg(toy_config(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_a_finished_run_lets_others_in(tmp_path):
    train(tmp_path, **{'train_cfg.max_epochs': 1})
    assert not (tmp_path / LOCK_FILE).exists()
    assert final_state(tmp_path, 'iter_6.pth')


def test_processes_of_one_run_share_it(launch, tmp_path, holder):
    """Refused together: nobody waits for the process that was told."""
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    ranks = [launch(train_rank, r, 2, port, tmp_path) for r in range(2)]
    for process in ranks:
        process.join(120)
    assert [p.exitcode for p in ranks] == [1, 1]
