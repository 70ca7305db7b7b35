# Copyright (c) costa_mm authors. All rights reserved.
import matplotlib
import numpy as np
import pytest

from costa_mm.visualization import plot_timeline

IDS = np.arange(0, 20, 2)
START, END = np.eye(10)[2], np.eye(10)[6]


def test_picture_has_its_parts():
    backend = matplotlib.get_backend()
    bare = plot_timeline(IDS, START, END, num_frames=20)
    assert bare.dtype == np.uint8 and bare.shape[1:] == (990, 3)
    full = plot_timeline(
        IDS, START, END, np.full(10, .5), num_frames=20, fps=10,
        pred_span=(4, 13), gt_span=(5, 12),
        pred_spans=[(4, 13, .6), (2, 13, .2)], sentence='a dog runs')
    assert full.shape[0] > bare.shape[0]
    assert matplotlib.get_backend() == backend  # no global state touched


def test_arguments_change_the_picture():
    base = dict(num_frames=20, pred_span=(4, 13))
    one = plot_timeline(IDS, START, END, **base)
    assert (one != plot_timeline(IDS, END, START, **base)).any()
    base['pred_span'] = (4, 15)
    assert (one != plot_timeline(IDS, START, END, **base)).any()


@pytest.mark.filterwarnings('ignore:Glyph')
@pytest.mark.parametrize('sentence', [
    'costs $5 and $x_1', '100% _under_ ^hat {brace} \\alpha', '犬が走る 😀',
    'word ' * 300, '', '$\\frac{'
])
def test_any_sentence_can_be_a_title(sentence):
    picture = plot_timeline(IDS, START, END, num_frames=20, sentence=sentence)
    assert picture.shape[1] == 990


def test_lengths_must_agree():
    with pytest.raises(ValueError, match='of one length'):
        plot_timeline(IDS, START, END[:-1], num_frames=20)


def test_one_sampled_frame_is_enough():
    plot_timeline([0], [1.], [1.], [.3], num_frames=1, fps=1,
                  pred_span=(0, 1))
