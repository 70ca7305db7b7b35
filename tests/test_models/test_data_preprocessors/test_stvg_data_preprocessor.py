# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
from torch.testing import assert_close

from costa_mm.models import STVGDataPreprocessor
from costa_mm.structures import TubeDataSample


def videos():
    torch.manual_seed(0)
    return [
        torch.randint(0, 256, shape, dtype=torch.uint8)
        for shape in ((3, 3, 20, 40), (5, 3, 33, 10))
    ]


def test_padding_and_masks():
    batch = STVGDataPreprocessor().stack(videos())
    assert batch.frames.shape == (2, 5, 3, 64, 64)
    assert batch.durations == (3, 5)
    assert batch.frame_mask.int().tolist() == [[0, 0, 0, 1, 1], [0] * 5]
    assert not batch.pixel_mask[0, :20, :40].any()
    assert batch.pixel_mask[0, 20:].all() and batch.pixel_mask[0, :, 40:].all()
    assert (batch.frames[0, 3:] == 0).all()
    assert (batch.frames[0, :, :, 20:] == 0).all()
    assert (batch.frames[1, :, :, :, 10:] == 0).all()


def test_normalised_by_channel():
    video = torch.tensor([0, 128, 255], dtype=torch.uint8)
    video = video.view(1, 3, 1, 1).expand(2, 3, 4, 4)
    batch = STVGDataPreprocessor(pad_size_divisor=1).stack([video])
    expected = [(0 - 123.675) / 58.395, (128 - 116.28) / 57.12,
                (255 - 103.53) / 57.375]
    assert_close(batch.frames[0, 1, :, 2, 3], torch.tensor(expected))


def test_divisor():
    batch = STVGDataPreprocessor(pad_size_divisor=1).stack(videos())
    assert batch.frames.shape[-2:] == (33, 40)


def test_forward_keeps_the_samples_and_the_input():
    data = dict(inputs=videos(), data_samples=['a', 'b'])
    out = STVGDataPreprocessor()(data)
    assert out['data_samples'] == ['a', 'b']
    assert out['inputs'].durations == (3, 5)
    assert data['inputs'][0].dtype == torch.uint8
    assert STVGDataPreprocessor()(dict(
        inputs=videos()))['data_samples'] is None


def test_truth_stays_on_the_cpu():
    sample = TubeDataSample(gt_boxes=torch.zeros(2, 4))
    preprocessor = STVGDataPreprocessor().to('meta')
    out = preprocessor(
        dict(inputs=[torch.zeros(2, 3, 4, 4)], data_samples=[sample]))
    assert out['inputs'].frames.device.type == 'meta'
    assert out['data_samples'][0].gt_boxes.device.type == 'cpu'


def test_channels_last_memory_gives_the_same():
    one = videos()
    other = [
        v.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for v in one
    ]
    prep = STVGDataPreprocessor()
    assert torch.equal(prep.stack(one).frames, prep.stack(other).frames)


def test_constants_are_in_no_checkpoint():
    assert not STVGDataPreprocessor().state_dict()


def test_wrong_shapes_raise():
    with pytest.raises(ValueError, match='video 1'):
        STVGDataPreprocessor().stack([videos()[0], torch.zeros(3, 8, 8)])


def test_whole_numbers_are_numbers():
    batch = STVGDataPreprocessor(
        mean=(124, 116, 104), std=(58, 57, 57)).stack(videos())
    assert batch.frames.dtype == torch.float32
    expected = STVGDataPreprocessor(
        mean=(124., 116., 104.), std=(58., 57., 57.)).stack(videos())
    assert torch.equal(batch.frames, expected.frames)
