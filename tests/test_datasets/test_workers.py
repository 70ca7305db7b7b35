# Copyright (c) costa_mm authors. All rights reserved.
"""Many samples through worker processes: same draws, no leaks."""
import os

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader, Dataset

from costa_mm.datasets import EpochSampler, HCSTVGDataset

PAGE = os.sysconf('SC_PAGE_SIZE')


def pipeline(reader):
    return [
        dict(type='SampleFrames', num_frames=4),
        dict(type='RandomTemporalCrop', level='frames'),
        dict(type='LoadVideoFrames', reader=dict(type=f'costa_mm.{reader}')),
        dict(type='LoadTubeAnnotations'),
        dict(type='FlipWithText'),
        dict(type='ResizeClip', short_side=[32, 48]),
        dict(type='PackSTVGInputs'),
    ]


@pytest.fixture
def build(make_ann, clip, v1_entry):

    def _build(reader='PyAVReader', num=6):
        videos = dict(videos=[
            dict(
                path=clip.name,
                sentences=[
                    dict(
                        text=f'the left man {i}', span=[10, 20 + i],
                        boxes={'12': [1, 2, 30, 40]}) for i in range(num)
                ])
        ])
        return HCSTVGDataset(
            make_ann(videos),
            data_prefix=dict(video=str(clip.parent)),
            pipeline=pipeline(reader))

    return _build


def one_epoch(dataset, num_workers):
    sampler = EpochSampler(dataset, seed=3)
    out = {}
    for epoch in range(2):
        sampler.set_epoch(epoch)
        loader = DataLoader(
            dataset, batch_size=2, sampler=sampler, num_workers=num_workers,
            collate_fn=pseudo_collate)
        for batch in loader:
            for frames, sample in zip(batch['inputs'],
                                      batch['data_samples']):
                out[epoch, sample.sample_id] = (
                    sample.draw, sample.flip, sample.img_shape,
                    sample.sentence, sample.frame_ids.tolist(),
                    int(frames.sum()))
    return out


def test_draws_do_not_depend_on_the_number_of_workers(build):
    dataset = build()
    alone = one_epoch(dataset, 0)
    assert len(alone) == 12
    assert len({v[0] for v in alone.values()}) == 12
    for num_workers in (1, 2):
        np.random.seed(num_workers)
        assert one_epoch(dataset, num_workers) == alone


class Watched(Dataset):
    """Many samples, each with its worker's memory and open files."""

    def __init__(self, dataset, size):
        self.dataset = dataset
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.dataset[index % len(self.dataset)]
        with open('/proc/self/statm') as f:
            resident = int(f.read().split()[1]) * PAGE
        return os.getpid(), resident, len(os.listdir('/proc/self/fd'))


@pytest.mark.skipif(not os.path.exists('/proc/self/statm'), reason='Linux')
@pytest.mark.parametrize('reader, size', [('PyAVReader', 2000),
                                          ('DecordReader', 800)])
def test_memory_and_files_stay_flat(reader, size, build):
    loader = DataLoader(
        Watched(build(reader), size), batch_size=1, num_workers=2,
        collate_fn=pseudo_collate)
    seen = {}
    for pid, resident, files in loader:
        seen.setdefault(pid[0], []).append((resident[0], files[0]))
    assert len(seen) == 2
    for values in seen.values():
        memory, files = np.array(values).T
        assert len(memory) == size // 2
        settled = np.median(memory[80:120])  # of 200 samples, half each
        assert np.median(memory[-50:]) < settled * 1.05
        # the loader's own pipes come and go
        assert np.median(files[-50:]) <= np.median(files[80:120]) + 1
