# Copyright (c) costa_mm authors. All rights reserved.
import av
import pytest
from PIL import Image

from costa_mm.registry import VISUALIZERS
from costa_mm.structures import TubeDataSample
from costa_mm.visualization import TubeLocalVisualizer, timeline_from_sample


def test_it_is_built_by_name_and_fills_its_backends(tmp_path, frames, sample):
    visualizer = VISUALIZERS.build(
        dict(
            type='costa_mm.TubeLocalVisualizer',
            name='test_backends',
            save_dir=str(tmp_path),
            vis_backends=[dict(type='LocalVisBackend')]))
    pictures = visualizer.add_datasample('val/a', frames, sample, step=3)
    assert sorted(pictures) == ['sheet', 'timeline']
    written = sorted(p.name for p in tmp_path.rglob('*.png'))
    assert written == ['val_a_sheet_3.png', 'val_a_timeline_3.png']


def test_sampled_frames_are_enough(frames, sample):
    visualizer = TubeLocalVisualizer(name='test_sampled', num_tiles=6)
    ids = sample.frame_ids
    pictures = visualizer.add_datasample('x', frames[ids], sample)
    assert pictures['sheet'].ndim == 3
    with pytest.raises(ValueError, match='7 frames are neither the 20'):
        visualizer.add_datasample('x', frames[:7], sample)


def test_files(tmp_path, frames, sample):
    visualizer = TubeLocalVisualizer(name='test_files')
    visualizer.add_datasample(
        'x', frames, sample, out_file=str(tmp_path / 'a' / 'x.mp4'))
    with av.open(str(tmp_path / 'a' / 'x.mp4')) as container:
        assert sum(1 for _ in container.decode(video=0)) == 20
    pictures = visualizer.add_datasample(
        'x', frames, sample, out_file=str(tmp_path / 'x.png'))
    with Image.open(tmp_path / 'x.png') as image:
        assert image.size == pictures['sheet'].shape[1::-1]


def test_truth_alone_has_no_timeline(frames, sample, truth):
    bare = TubeDataSample(metainfo=sample.metainfo, gt_tube=truth)
    assert timeline_from_sample(bare) is None
    pictures = TubeLocalVisualizer(name='test_truth').add_datasample(
        'x', frames, bare)
    assert list(pictures) == ['sheet']


def test_a_sample_is_needed(frames):
    with pytest.raises(ValueError, match='without a data sample'):
        TubeLocalVisualizer(name='test_none').add_datasample('x', frames)


def test_without_a_display_it_does_not_wait(frames, sample, monkeypatch):
    visualizer = TubeLocalVisualizer(name='test_show')
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'Agg')
    with pytest.warns(UserWarning, match='there is no display'):
        visualizer.add_datasample('x', frames, sample, show=True)
    shown = []
    monkeypatch.setattr('matplotlib.pyplot.get_backend', lambda: 'QtAgg')
    monkeypatch.setattr('mmengine.visualization.Visualizer.show',
                        lambda self, image, *args: shown.append(image))
    visualizer.add_datasample('x', frames, sample, show=True)
    assert shown[0].ndim == 3
