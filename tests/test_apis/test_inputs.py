# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.apis.inputs import list_videos, make_sources, match_sentences
from costa_mm.apis.sources import ArrayReader
from costa_mm.datasets import DecordReader, VideoReadError


def clip(t=4, dtype=np.uint8):
    return np.zeros((t, 6, 8, 3), dtype)


def test_a_list_of_frames_is_one_video_a_list_of_clips_is_many():
    one, = list_videos([clip()[0], clip()[0], clip()[0]])
    assert one.shape == (3, 6, 8, 3)
    assert [len(v) for v in list_videos([clip(2), clip(5)])] == [2, 5]


def test_folder_gives_its_videos_sorted(tmp_path):
    for name in ('b.MP4', 'a.mkv', 'notes.txt'):
        (tmp_path / name).touch()
    (tmp_path / 'sub.mp4').mkdir()
    paths = list_videos(tmp_path)
    assert [p.rsplit('/', 1)[1] for p in paths if 'sub' not in p] == [
        'a.mkv', 'b.MP4'
    ]
    assert not any('sub' in p for p in paths)


@pytest.mark.parametrize('bad, error', [
    (5, TypeError), (None, TypeError), ([], ValueError), ([5], TypeError),
    (clip(dtype=np.float32), ValueError), (clip(0), ValueError),
    (clip()[..., :1], ValueError), (clip()[0], ValueError),
    ([clip()[0], clip()[0][:3]], ValueError),
])
def test_anything_else_is_refused(bad, error):
    with pytest.raises(error):
        list_videos(bad)


def test_sentences():
    assert match_sentences('a', 2) == [('a', ), ('a', )]
    assert match_sentences(['a', 'b'], 2) == [('a', 'b'), ('a', 'b')]
    assert match_sentences([['a'], ['b', 'c']], 2) == [('a', ), ('b', 'c')]
    # White space is made uniform, as it is in the caption.
    assert match_sentences(' a \n b ', 1) == [('a b', )]


@pytest.mark.parametrize('bad, error', [
    ('', ValueError), ([], ValueError), (['a', ' '], ValueError),
    ([[], ['a']], ValueError), ([['a']], ValueError), (3, TypeError),
    ([3, 'a'], TypeError), ([['a'], [3]], TypeError),
])
def test_bad_sentences(bad, error):
    with pytest.raises(error):
        match_sentences(bad, 2)


def test_names_are_unique_and_safe(tmp_path, video):
    other = tmp_path / 'squares.mp4'
    odd = tmp_path / 'Ä b?.mp4'
    for path in (other, odd):
        path.write_bytes(video.read_bytes())
    sources = make_sources([str(video), other, odd], 'a', DecordReader())
    assert [s.name for s in sources] == ['squares', 'squares-2', 'Ä_b_']


def test_ids_of_sentences_are_unique_too(tmp_path, video):
    other = tmp_path / 'squares_0.mp4'
    other.write_bytes(video.read_bytes())
    sources = make_sources([video, other], [['a', 'b'], ['c']],
                           DecordReader())
    ids = [name for source in sources for name, _ in source.requests()]
    assert ids == ['squares_0', 'squares_1', 'squares_0-2']


def test_hidden_files_of_a_folder_are_no_videos(tmp_path, video):
    (tmp_path / 'b.mp4').write_bytes(video.read_bytes())
    (tmp_path / '._b.mp4').write_bytes(b'left by another system')
    (tmp_path / 'sub.mp4').mkdir()
    assert list_videos(tmp_path) == [str(tmp_path / 'b.mp4')]


def test_all_frames_come_in_order(frames):
    source, = make_sources(frames, 'a', None)
    assert (np.stack(list(source.iter_frames())) == frames).all()


def test_rate_of_frames_in_memory():
    reader = ArrayReader(clip(4))
    assert reader.probe('x') == (4, None, 8, 6)
    source, = make_sources(clip(4), 'a', None, fps=12)
    assert source.info.fps == 12


class ShortReader(ArrayReader):
    """Lists more frames than it has."""

    def _probe(self, path):
        info = super()._probe(path)
        return info._replace(num_frames=info.num_frames + self.listed)


@pytest.mark.parametrize('listed', [1, 3])
def test_frames_that_are_listed_and_not_there_do_not_count(video, listed):
    reader = ShortReader(clip(5))
    reader.listed = listed
    source, = make_sources(video, 'a', reader)
    assert source.info.num_frames == 5


def test_a_video_that_is_cut_off_is_refused(video):
    reader = ShortReader(clip(5))
    reader.listed = 20
    with pytest.raises(VideoReadError, match='ends before its 25 frames'):
        make_sources(video, 'a', reader)
