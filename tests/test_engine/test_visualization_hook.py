# Copyright (c) costa_mm authors. All rights reserved.
"""Pictures while testing, whatever the dataset is wrapped in."""
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from torch.utils.data import ConcatDataset, Dataset, Subset

from costa_mm.engine import TubeVisualizationHook


class Videos(Dataset):

    def __init__(self):
        self.reader = SimpleNamespace(read=lambda path, ids: (path, list(ids)))

    def __len__(self):
        return 3


SAMPLE = SimpleNamespace(video_path='a.mp4', frame_ids=[0, 4],
                         sample_id='a/b c')


def draw(dataset, **options):
    runner = SimpleNamespace(
        test_dataloader=SimpleNamespace(dataset=dataset), visualizer=Mock())
    TubeVisualizationHook(draw=True, test_out_dir='out', **options
                          ).after_test_iter(runner, 0, None, [SAMPLE] * 3)
    return runner.visualizer.add_datasample.call_args_list


@pytest.mark.parametrize('wrap', [
    lambda d: d, lambda d: Subset(d, [0]), lambda d: ConcatDataset([d, d]),
    # as MMEngine's RepeatDataset holds it
    lambda d: SimpleNamespace(dataset=ConcatDataset([Subset(d, [0])]))])
def test_frames_come_from_the_dataset_inside(wrap):
    calls = draw(wrap(Videos()), max_samples=2)
    assert len(calls) == 2
    name, frames, sample = calls[0].args
    assert (name, frames) == ('a_b_c', ('a.mp4', [0, 4])) and sample is SAMPLE
    assert calls[0].kwargs['out_file'] == 'out/a_b_c.png'


@pytest.mark.parametrize('dataset', [SimpleNamespace(),
                                     SimpleNamespace(datasets=[])])
def test_a_dataset_without_videos(dataset):
    with pytest.raises(ValueError, match='has no video reader'):
        draw(dataset)
