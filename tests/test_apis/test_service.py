# Copyright (c) costa_mm authors. All rights reserved.
import json
import os
import threading

import numpy as np
import pytest

from costa_mm.apis.service import GroundingService, Limits, RequestError
from costa_mm.visualization import write_video

RED, GREEN = 'the red square moves right', 'the green square stands still'


@pytest.fixture
def service(colour_finder):
    return GroundingService(
        colour_finder, limits=Limits(seconds=4, megabytes=1), score_thr=0.5)


def test_an_answer_is_what_the_python_call_gives(service, colour_finder,
                                                 video):
    answer = service.ground(str(video), f'{RED}\n\n  {GREEN} \na blue one\n')
    direct = colour_finder(video, [RED, GREEN, 'a blue one'],
                           pred_score_thr=0.5)['predictions']
    with open(answer.json, encoding='utf-8') as f:
        found = json.load(f)
    wanted = {r.sample_id: json.loads(json.dumps(r.to_dict()))
              for r in direct}
    for entry in wanted.values():
        entry['video'] = 'squares.mp4'  # no path of the server
    assert found == wanted
    assert [r.found for r in answer.results] == [True, True, False]
    assert answer.attention == []
    assert os.path.getsize(answer.video) > 1000


def test_stages_are_told(service, video):
    told = []
    service.ground(str(video), f'{RED}\n{GREEN}',
                   progress=lambda *stage: told.append(stage))
    assert told[0] == ('reading', 0, 1)
    assert [t for t in told if t[0] == 'grounding'][-1] == ('grounding', 2, 2)
    assert told[-1] == ('drawing', 29, 30)


def test_attention_on_request(service, video):
    answer = service.ground(str(video), GREEN, attention=True)
    assert os.path.basename(answer.attention[0]) == '0_attention.png'


@pytest.mark.parametrize('text, message', [
    ('', 'Write a sentence'), (None, 'Write a sentence'),
    (' \n\t\n', 'Write a sentence'),
    ('😀' * 10000, 'A sentence has 10,000 characters; at most 300'),
    ('😀 !?', 'There is no word in "😀 !?"'),
    ('a\n' * 9, '9 sentences; at most 8')])
def test_sentences_that_are_refused(service, video, text, message):
    with pytest.raises(RequestError, match=message.replace('?', r'\?')):
        service.ground(str(video), text)


@pytest.mark.parametrize('content, message', [
    (b'', r'The file "a.mp4" is empty \(0 bytes\)'),
    (b'this is text\n' * 99, 'The file "a.mp4" is no video that can be'),
    (b'\0' * 1100000, '"a.mp4" has 1.1 MB; at most 1 MB')])
def test_files_that_are_refused(service, tmp_path, content, message):
    path = tmp_path / 'a.mp4'
    path.write_bytes(content)
    with pytest.raises(RequestError, match=message) as e:
        service.ground(str(path), RED)
    assert str(tmp_path) not in str(e.value)


def test_videos_that_are_refused(service, tmp_path, test_data):
    with pytest.raises(RequestError, match='Choose or upload a video'):
        service.ground(None, RED)
    with pytest.raises(RequestError, match='Choose or upload a video'):
        service.ground(str(tmp_path / 'gone.mp4'), RED)
    path = tmp_path / 'long.mp4'
    write_video(path, np.zeros((50, 32, 32, 3), np.uint8), 10)
    with pytest.raises(RequestError, match='"long.mp4" is 5.0 s long; at '
                       'most 4 s'):
        service.ground(str(path), RED)
    service.limits = Limits(pixels=16)
    with pytest.raises(RequestError, match='have 32 x 32 pixels; at most 16'):
        service.ground(str(path), RED)
    service.limits = Limits()
    broken = test_data / 'odd' / 'decord_corrupted.mp4'
    with pytest.raises(RequestError, match='is no video that can be read'):
        service.ground(str(broken), RED)


def test_what_the_inferencer_refuses_is_told(service, video, monkeypatch):
    def refuse(path, *args, **kwargs):
        raise ValueError(f'{path}: no attention')

    monkeypatch.setattr(service, 'inferencer', service.inferencer)
    monkeypatch.setattr(type(service.inferencer), '__call__',
                        lambda self, *args, **kwargs: refuse(*args))
    with pytest.raises(RequestError, match='^squares.mp4: no attention'):
        service.ground(str(video), RED)


def test_old_answers_are_removed(colour_finder, video):
    service = GroundingService(colour_finder, keep=2)
    answers = [service.ground(str(video), RED) for _ in range(3)]
    assert [os.path.exists(a.json) for a in answers] == [False, True, True]


def test_requests_at_once_are_not_mixed_up(service, tmp_path):
    answers, videos = {}, []
    for i in range(4):
        frames = np.zeros((30, 32, 32, 3), np.uint8)
        frames[i:10 + i, 8:16, 8:16, 0] = 230
        videos.append(str(tmp_path / f'v{i}.mp4'))
        write_video(videos[-1], frames, 10, crf=1)

    def ask(i):
        answers[i] = service.ground(videos[i], RED).results[0]

    threads = [threading.Thread(target=ask, args=(i, )) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i in range(4):
        assert answers[i].span == (i, 10 + i)
        assert answers[i].video == f'v{i}.mp4'
