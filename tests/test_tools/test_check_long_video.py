# Copyright (c) costa_mm authors. All rights reserved.
"""The videos of tools/analysis_tools/check_long_video.py."""
import runpy
from pathlib import Path

import numpy as np
import pytest

from costa_mm.synthetic import Settings, render_frames
from costa_mm.synthetic.scene import find_matches

TOOL = Path(__file__).resolve().parents[2] / (
    'tools/analysis_tools/check_long_video.py')
SETTINGS = Settings('easy', 0, 48, 24, 8)  # shots of 3 s


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(TOOL.parent))
        return runpy.run_path(str(TOOL))


def make(tool, *options):
    args = tool['parse_args'](
        ['config.py', '--minutes', '2', '--event-minute', '1', *options])
    return tool['make_video'](SETTINGS, 3, args)


def test_the_event_stands_in_the_middle_of_its_minute(tool):
    video = make(tool)
    assert len(video.shots) == 40
    begin, end = video.span
    assert 8 * (90 - 3) <= begin < end <= 8 * (90 + 3)
    event = list(render_frames(video.shots[video.target]))
    first = video.target * 24
    # one shot before, the event, one shot after: the scene rests around it
    frames = list(video.frames(first - 24, first + 48))
    assert len(frames) == 72
    for i in (0, 23):
        assert np.array_equal(frames[i], event[0])
        assert np.array_equal(frames[48 + i], event[-1])
        assert np.array_equal(frames[24 + i], event[i])
    assert not np.array_equal(event[0], event[-1])
    # parts of shots are cut where they are asked for
    part = list(video.frames(first + 5, first + 7))
    assert len(part) == 2 and np.array_equal(part[1], event[6])


def test_other_shots_do_not_hold_what_is_asked_for(tool):
    video = make(tool, '--around', 'shots')
    target = video.shots[video.target]
    others = [s for s in video.shots if s is not target]
    assert len(others) == 39
    assert not any(find_matches(s.objects, target.query) for s in others)
    assert find_matches(target.objects, target.query)


def test_an_event_behind_the_end_is_refused(tool, capsys):
    with pytest.raises(SystemExit):
        make(tool, '--event-minute', '2')
    assert 'behind the end' in capsys.readouterr().err
