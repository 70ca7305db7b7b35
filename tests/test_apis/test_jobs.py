# Copyright (c) costa_mm authors. All rights reserved.
"""Jobs over many videos: interrupted, killed, shared, with bad videos."""
import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from contextlib import closing
from pathlib import Path

import huggingface_hub.constants
import pytest

from costa_mm.apis import jobs
from costa_mm.apis.inputs import make_requests
from costa_mm.apis.jobs import GroundingJob, own_place, read_list
from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES
from tests.test_weights.server import FileServer

SENTENCES = ['the red square', 'a green thing']
NUM = 6


@pytest.fixture(scope='module')
def folder(tmp_path_factory, video):
    """The video of the colour finder, six times."""
    folder = tmp_path_factory.mktemp('clips')
    for i in range(NUM):
        shutil.copy(video, folder / f'clip{i}.mp4')
    return folder


@pytest.fixture
def requests(folder):
    return make_requests(str(folder), SENTENCES, jobs.RESERVED)


def make(inferencer, requests, out, **kwargs):
    return GroundingJob(
        inferencer, requests, out,
        **dict(dict(no_save_vis=True, show_progress=False), **kwargs))


def contents(out):
    """Every file of a finished job, by name."""
    assert [f for f in os.listdir(out) if f.startswith('.')] == ['.locks']
    return {f.name: f.read_bytes() for f in sorted(out.glob('[!.]*'))}


@pytest.fixture(scope='module')
def whole(colour_finder, folder, tmp_path_factory):
    """What a job leaves that nothing has disturbed."""
    out = tmp_path_factory.mktemp('whole')
    asked = make_requests(str(folder), SENTENCES, jobs.RESERVED)
    report = make(colour_finder, asked, out).run()
    assert report.made == NUM and not report.interrupted
    return contents(out)


def test_results_are_those_of_a_call(colour_finder, folder, whole):
    expected = colour_finder(str(folder), SENTENCES)['predictions']
    tubes = json.loads(whole['tubes.json'])
    assert list(tubes) == [r.sample_id for r in expected]
    for result in expected:
        tube = dict(tubes[result.sample_id])
        assert len(tube.pop('job')) == 16
        assert tube == json.loads(json.dumps(result.to_dict()))
    lines = [json.loads(x) for x in whole['results.jsonl'].splitlines()]
    assert [x['sample_id'] for x in lines] == list(tubes)
    assert lines[0]['span'] == [10, 20] and lines[0]['found']
    assert json.loads(whole['clip3.json']).keys() == {'clip3_0', 'clip3_1'}


def test_what_is_there_is_not_made_again(colour_finder, requests, tmp_path):
    make(colour_finder, requests[:4], tmp_path).run()
    seen = len(colour_finder.model.encoded)
    report = make(colour_finder, requests, tmp_path).run()
    assert report.made == 2 and len(report.done) == NUM
    assert len(colour_finder.model.encoded) == seen + 2


@pytest.mark.parametrize('change', ['threshold', 'sentence', 'model', 'file'])
def test_other_results_are_no_results(colour_finder, folder, requests,
                                      tmp_path, change, monkeypatch):
    make(colour_finder, requests, tmp_path).run()
    kwargs = {}
    if change == 'threshold':
        kwargs = dict(pred_score_thr=0.95)
    elif change == 'sentence':
        requests = make_requests(str(folder), ['x', 'the red square'])
    elif change == 'model':
        monkeypatch.setattr(colour_finder.model.threshold, 'data',
                            colour_finder.model.threshold.data + 1)
    else:
        (tmp_path / 'clip1.json').write_text('{"clip1_0"')
    report = make(colour_finder, requests, tmp_path, **kwargs).run()
    assert report.made == (1 if change == 'file' else NUM)
    assert report.done == [f'clip{i}' for i in range(NUM)]


def test_missing_pictures_are_made(colour_finder, requests, tmp_path):
    job = dict(no_save_vis=False, show_progress=False)
    GroundingJob(colour_finder, requests[:2], tmp_path, **job).run()
    names = {'clip0.mp4', 'clip0_sheet.png', 'clip0_0_timeline.png'}
    assert names <= set(os.listdir(tmp_path))
    os.remove(tmp_path / 'clip0.mp4')
    report = GroundingJob(colour_finder, requests[:2], tmp_path, **job).run()
    assert report.made == 1 and (tmp_path / 'clip0.mp4').is_file()


@pytest.mark.parametrize('batch_size', [1, 4])
def test_bad_videos_are_skipped_and_told(colour_finder, folder, tmp_path,
                                         batch_size, whole):
    videos = sorted(map(str, folder.iterdir()))
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(b'no video')
    asked = make_requests([*videos[:3], str(bad), *videos[3:]], SENTENCES)
    out = tmp_path / 'out'
    report = make(colour_finder, asked, out, batch_size=batch_size).run()
    assert list(report.failed) == [str(bad)] and report.made == NUM
    assert report.failed[str(bad)].startswith('VideoReadError: ')
    assert json.loads((out / 'tubes.json').read_bytes()) == json.loads(
        whole['tubes.json'])
    with pytest.raises(ValueError, match='bad.mp4'):
        make(colour_finder, asked, tmp_path / 'o', on_error='stop').run()
    with pytest.raises(ValueError, match="'skip' or 'stop'"):
        make(colour_finder, asked, out, on_error='ignore')


def test_one_of_a_group_fails_alone(colour_finder, requests, tmp_path,
                                    monkeypatch):
    grounded = jobs.ground_group

    def ground(model, group, *args):
        if any(v.requests[0][0] == 'clip2_0' for v in group):
            raise ValueError('a window that cannot be decoded')
        return grounded(model, group, *args)

    monkeypatch.setattr(jobs, 'ground_group', ground)
    report = make(colour_finder, requests, tmp_path, batch_size=6).run()
    assert list(report.failed) == [requests[2].path]
    assert report.made == NUM - 1


def test_a_full_disk_is_no_bad_video(colour_finder, requests, tmp_path,
                                     monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(jobs, 'dump_results', full)
    with pytest.raises(OSError, match='No space'):
        make(colour_finder, requests, tmp_path).run()


def test_ctrl_c_keeps_what_is_done(colour_finder, requests, tmp_path, whole,
                                   monkeypatch):
    dump, left = jobs.dump_results, iter(range(NUM))

    def interrupted(*args, **kwargs):
        if next(left) == 3:
            raise KeyboardInterrupt
        dump(*args, **kwargs)

    monkeypatch.setattr(jobs, 'dump_results', interrupted)
    report = make(colour_finder, requests, tmp_path).run()
    assert report.interrupted and report.made == 3
    assert len((tmp_path / 'results.jsonl').read_text().splitlines()) == 6
    assert len(json.loads((tmp_path / 'tubes.json').read_text())) == 6
    monkeypatch.undo()
    report = make(colour_finder, requests, tmp_path).run()
    assert report.made == 3 and contents(tmp_path) == whole


# ------------------------------------------------------------ many processes
def start(inferencer, requests, out, rank=0, world=1):
    """A job in a process of its own; its exit code is what it made."""

    def work():
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(world))
        os._exit(make(inferencer, requests, out).run().made)

    process = multiprocessing.get_context('fork').Process(target=work)
    process.start()
    return process


def test_processes_share_the_list(colour_finder, requests, tmp_path, whole):
    processes = [start(colour_finder, requests, tmp_path, i, 3)
                 for i in range(3)]
    for process in processes:
        process.join(60)
    # every video by one of them only
    assert sum(p.exitcode for p in processes) == NUM
    assert contents(tmp_path) == whole


def test_killed_at_random_and_started_again(colour_finder, requests, tmp_path,
                                            whole):
    rng = random.Random(0)
    for _ in range(5):
        process = start(colour_finder, requests, tmp_path)
        time.sleep(rng.uniform(0.02, 0.2))
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
    make(colour_finder, requests, tmp_path).run()
    for leftover in tmp_path.glob('.*writing*'):  # too new to be removed
        leftover.unlink()
    assert contents(tmp_path) == whole


def test_a_video_of_a_dead_process_is_taken_over(colour_finder, requests,
                                                 tmp_path, whole):
    tmp_path.joinpath('.locks').mkdir()
    lock = make(colour_finder, requests, tmp_path)._lock('video_clip1')
    with lock:
        report = make(colour_finder, requests, tmp_path).run()
    assert 'clip1' not in report.done and report.made == NUM - 1
    # the lock file still lies there, but nobody holds it
    assert make(colour_finder, requests, tmp_path).run().made == 1
    assert contents(tmp_path) == whole


@pytest.mark.parametrize('env, place', [
    ({}, (0, 1)), (dict(RANK='2', WORLD_SIZE='4'), (2, 4)),
    (dict(SLURM_PROCID='1', SLURM_NTASKS='2'), (1, 2))])
def test_own_place(monkeypatch, env, place):
    for name in ('RANK', 'WORLD_SIZE', 'SLURM_PROCID', 'SLURM_NTASKS'):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert own_place() == place


# ---------------------------------------------------------------- list files
def test_list_file(folder):
    path = folder / 'list.jsonl'
    path.write_text('{"video": "clip1.mp4", "sentences": ["a", "b"]}\n\n'
                    f'{{"video": "{folder}/clip1.mp4", "sentence": "c"}}\n')
    first, second = read_list(path)
    assert first.sentences == ('a', 'b') and second.sentences == ('c', )
    assert first.path == second.path == str(folder / 'clip1.mp4')
    assert (first.name, second.name) == ('clip1', 'clip1-2')
    path.unlink()


@pytest.mark.parametrize('text, message', [
    ('', 'lists no video'), ('{"video": 1, "sentences": ["a"]}', 'line 1'),
    ('{"video": "clip0.mp4"}', 'line 1'), ('[]', 'line 1'),
    ('{"video": "clip0.mp4", "sentence": "a"}\nhello', 'line 2'),
    ('{"video": "clip0.mp4", "sentence": " "}', 'line 1: sentence 0 is empty'),
    ('{"video": "clip0.mp4", "sentence": [1]}', 'line 1: sentence 0 is a int'),
])
def test_bad_list_files(folder, text, message):
    path = folder / 'bad.jsonl'
    path.write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_list(path)
    path.unlink()


def test_missing_videos_of_a_list_are_told(colour_finder, folder, tmp_path,
                                           whole):
    path = tmp_path / 'list.jsonl'
    videos = [f'{folder}/clip0.mp4', 'none.mp4', 'empty', str(folder)]
    path.write_text('\n'.join(
        json.dumps(dict(video=video, sentences=SENTENCES))
        for video in videos))
    (tmp_path / 'empty').mkdir()
    asked = read_list(path)
    assert len(asked) == 3 + NUM  # the folder is all of its videos
    report = make(colour_finder, asked, tmp_path / 'out').run()
    assert report.made == 1 + NUM
    assert report.failed == {
        f'{tmp_path}/none.mp4': 'FileNotFoundError: there is no video file or '
                                f'folder {tmp_path}/none.mp4',
        f'{tmp_path}/empty': 'FileNotFoundError: the folder '
                             f'{tmp_path}/empty holds no video '
                             f'({", ".join(VIDEO_SUFFIXES)})'}
    tubes = json.loads((tmp_path / 'out' / 'tubes.json').read_bytes())
    for name, tube in json.loads(whole['tubes.json']).items():
        if name.startswith('clip1'):
            assert {**tubes[name], 'job': 0} == {**tube, 'job': 0}
    with pytest.raises(FileNotFoundError, match='none.mp4'):
        make(colour_finder, asked, tmp_path / 'o', on_error='stop').run()


def test_no_video_takes_the_name_of_a_file_for_all(folder, tmp_path):
    video = tmp_path / 'tubes.mp4'
    shutil.copy(folder / 'clip0.mp4', video)
    request, = make_requests(str(video), 'a', jobs.RESERVED)
    assert request.name == 'tubes-2'


def test_addresses_are_fetched_in_turn(colour_finder, video, tmp_path,
                                       monkeypatch):
    """One that gives no video is told of; the rest is grounded."""
    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
    data = Path(video).read_bytes()
    with closing(FileServer({f'/{i}.mp4': data for i in 'abcdef'})) as server:
        names = ['a', 'none', *'bcdef']
        lines = [dict(video=f'{server.url}/{n}.mp4', sentences=SENTENCES)
                 for n in names]
        path = tmp_path / 'list.jsonl'
        path.write_text('\n'.join(map(json.dumps, lines)))
        asked = read_list(path)
        assert not server.log  # nothing is fetched before its turn
        job = make(colour_finder, asked, tmp_path / 'out')
        ground = jobs.ground_group
        fetched = []

        def counted(*args):
            fetched.append(len(list((tmp_path / 'home').rglob('*.mp4'))))
            return ground(*args)

        monkeypatch.setattr(jobs, 'ground_group', counted)
        report = job.run()
        assert sorted(report.done) == list('abcdef') and report.made == 6
        (place, reason), = report.failed.items()
        assert place == f'{server.url}/none.mp4' and 'no video' in reason
        assert fetched[0] < 6  # not all of them first
        again = make(colour_finder, read_list(path), tmp_path / 'out').run()
        assert again.made == 0 and len(again.done) == 6
        assert all(server.fetched(f'/{i}.mp4') == 1 for i in 'abcdef')


def test_pictures_of_an_earlier_job_do_not_stay(colour_finder, video,
                                                tmp_path):
    def run(sentences, **kwargs):
        asked = make_requests(str(video), sentences, jobs.RESERVED)
        make(colour_finder, asked, tmp_path, no_save_vis=False,
             **kwargs).run()
        return {f.name for f in tmp_path.glob('*.png')}

    other = tmp_path / 'mine_timeline.png'
    other.write_bytes(b'')
    name = make_requests(str(video), SENTENCES)[0].name
    kept = {other.name, f'{name}_sheet.png'}
    both = {f'{name}_{i}_{kind}.png' for i in range(2)
            for kind in ('timeline', 'attention')}
    assert run(SENTENCES, attention=True) == kept | both
    assert run(SENTENCES) == kept | {f'{name}_{i}_timeline.png'
                                     for i in range(2)}
    assert run(SENTENCES[:1]) == kept | {f'{name}_timeline.png'}


def test_a_job_may_keep_its_tubes_elsewhere(colour_finder, requests, tmp_path,
                                            whole):
    out, records = tmp_path / 'out', tmp_path / 'records'
    report = make(colour_finder, requests, out, record_dir=records).run()
    assert report.made == NUM and not list(out.iterdir())
    assert contents(records) == whole
