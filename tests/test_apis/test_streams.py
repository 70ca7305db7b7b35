# Copyright (c) costa_mm authors. All rights reserved.
"""Results one by one, and inputs that are no files."""
import json
from contextlib import closing
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from PIL import Image

from costa_mm.apis.inputs import list_videos
from tests.test_weights.server import FileServer

RED = 'the red square'


def test_stream_is_the_call_one_by_one(colour_finder, video, frames):
    inputs = [video, frames, video]
    expected = colour_finder(inputs, [RED, 'green'], fps=10)['predictions']
    found = list(colour_finder.stream(inputs, [RED, 'green'], fps=10))
    assert [r.to_dict() for r in found] == [r.to_dict() for r in expected]


def test_stream_opens_a_video_when_its_turn_comes(colour_finder, video,
                                                  tmp_path):
    bad = tmp_path / 'bad.mp4'
    bad.write_bytes(b'no video')
    results = colour_finder.stream([video] * 4 + [str(bad)], RED)
    assert next(results).span == (10, 20)
    with pytest.raises(ValueError, match='bad.mp4'):
        list(results)
    with pytest.raises(FileNotFoundError):  # at once
        colour_finder.stream('none.mp4', RED)


def test_live_frames_are_grounded_in_pieces(colour_finder, frames):
    taken = []

    def camera():
        for i in range(75):
            taken.append(i)
            yield frames[i % 30]

    results = colour_finder.live(camera(), [RED, 'blue'], fps=10, seconds=3,
                                 pred_score_thr=0.5)
    first, second = next(results), next(results)
    assert (first.video, first.span, first.found) == ('live_0', (10, 20), True)
    assert first.span_seconds == (1., 2.) and not second.found
    # memory is bounded: no more than the pieces ahead were taken
    assert len(taken) <= 75
    rest = list(results)
    assert [r.video for r in rest] == ['live_1'] * 2 + ['live_2'] * 2
    assert rest[2].tube.num_frames == 15  # what was left


def test_live_mistakes(colour_finder, frames):
    with pytest.raises(ValueError, match='fps='):
        colour_finder.live(iter(frames), RED)
    with pytest.raises(OSError, match='no camera 97'):
        colour_finder.live(97, RED)
    with pytest.raises(ValueError, match='of one size'):
        list(colour_finder.live([frames[0], frames[0, :8]], RED, fps=1))


@pytest.mark.parametrize('convert', [
    lambda x: [Image.fromarray(i) for i in x],
    lambda x: [Image.fromarray(i).convert('RGBA') for i in x],
    lambda x: torch.from_numpy(x),
    lambda x: torch.from_numpy(x).permute(0, 3, 1, 2),
    lambda x: list(torch.from_numpy(x).permute(0, 3, 1, 2)),
])
def test_frames_of_other_libraries(convert, frames):
    video, = list_videos(convert(frames))
    assert video.dtype == np.uint8 and np.array_equal(video, frames)


def test_bad_frames_of_other_libraries(frames):
    with pytest.raises(ValueError, match='uint8'):
        list_videos(torch.from_numpy(frames).float())
    with pytest.raises(TypeError, match='live'):
        list_videos(iter(frames))


def test_addresses(colour_finder, video, tmp_path, monkeypatch):
    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', False)
    expected = colour_finder(video, RED)['predictions'][0].to_dict()
    data = Path(video).read_bytes()
    with closing(FileServer({'/a%20b/clip.mp4': data})) as server:
        url = f'{server.url}/a%20b/clip.mp4'
        for address in (f'file://{video}', url, url):
            found = colour_finder(address, RED)['predictions'][0].to_dict()
            expected['video'] = found['video']
            assert json.dumps(found) == json.dumps(expected)
        assert found['video'].startswith(str(tmp_path / 'videos'))
        assert server.fetched('/a%20b/clip.mp4') == 1
        with pytest.raises(FileNotFoundError, match='no video to be had'):
            colour_finder(f'{server.url}/none.mp4', RED)
