# Copyright (c) costa_mm authors. All rights reserved.
"""Ranking without training: every cue, and the whole chain."""
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from costa_mm.apis import STVGInferencer
from costa_mm.models.grounders.zero_shot_tube_ranking import (
    ZeroShotTubeRanking, _colors_of, crop_box)
from costa_mm.models.utils.word_cues import (best_segment, color_share,
                                             place_fit)
from costa_mm.structures import TubeProposals, proposal_path
from costa_mm.visualization import write_video

CONFIGS = Path(__file__).resolve().parents[2] / 'configs' / 'zero_shot'
PRE = dict(type='costa_mm.STVGDataPreprocessor', mean=(0., ) * 3,
           std=(1., ) * 3, pad_size_divisor=1)


@pytest.mark.parametrize('rgb, word', [
    ((220, 20, 20), 'red'), ((20, 20, 220), 'blue'), ((20, 160, 40), 'green'),
    ((10, 10, 12), 'black'), ((250, 250, 250), 'white'),
    ((128, 128, 128), 'grey'), ((110, 60, 25), 'brown'),
    ((240, 220, 30), 'yellow')])
def test_colors(rgb, word):
    pixels = np.tile(np.array(rgb), (7, 1))
    shares = {w: color_share(pixels, w) for w in
              ('red', 'blue', 'green', 'black', 'white', 'grey', 'brown',
               'yellow')}
    assert shares.pop(word) == 1. and not any(shares.values())
    assert color_share(pixels, 'dog') == 0.


def test_words_of_colors():
    assert _colors_of('A black swan swims past the red boat.', 'swan') == [
        'black']
    assert _colors_of('The man in black dances.', 'man') == ['black']
    assert _colors_of('The dog runs to the green door.', 'dog') == []


def test_places_and_sizes():
    left, right = (np.array([[x, .4, x + .2, .6]] * 3) for x in (0., .8))
    assert place_fit(left, 'the dog on the left') > .8
    assert place_fit(right, 'the dog on the left') < .2
    assert place_fit(left, 'a dog') == 0.
    assert place_fit(left, 'a small dog') > place_fit(left, 'a large dog')


def test_best_segment():
    values = np.array([0, 0, 1, 1, 0, 1, 0, 0, 0, 0.])
    assert best_segment(values, 0.) == (2, 5)
    assert best_segment(np.full(6, .3), .5) == (0, 5)
    brute = max(((i, j) for i in range(10) for j in range(i, 10)),
                key=lambda s: (values - values.mean())[s[0]:s[1] + 1].sum())
    assert best_segment(values, 0.) == brute


def test_crops():
    frame = torch.zeros(3, 40, 60)
    frame[0, 10:20, 30:45] = 200
    box = np.array([30 / 60, 10 / 40, 45 / 60, 20 / 40])
    assert crop_box(frame, box, 8, 1.)[0, 1:-1, 1:-1].min() == 200
    assert crop_box(frame, box, 9, 3.)[0, 0].max() == 0


# ------------------------------------------------------------- the whole chain
@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A red square left, a blue one right; proposals of both and a wrong one.

    The proposals call both squares; the red one is there in frames 6 to 17.
    """
    folder = tmp_path_factory.mktemp('squares')
    frames = np.full((24, 64, 96, 3), 90, np.uint8)
    frames[6:18, 20:40, 10:30] = (220, 20, 20)
    frames[:, 20:40, 60:80] = (20, 20, 220)
    write_video(folder / 'squares.mp4', frames, 8, crf=1)
    write_video(folder / 'empty.mp4', frames, 8)
    ids = np.append(np.arange(0, 24, 2), 23)
    boxes = np.zeros((3, 13, 4), np.float32)
    boxes[0, 3:9] = 10, 20, 30, 40
    boxes[1] = 60, 20, 80, 40
    boxes[2] = 0, 50, 90, 60
    scores = (boxes[..., 2] > 0) * np.array([[.8], [.9], [.9]], np.float32)
    TubeProposals(ids, boxes, scores, ('square', 'square', 'dog'), (96, 64),
                  24).save(proposal_path(str(folder), 'squares.mp4'))
    TubeProposals(ids, boxes[:0], scores[:0], (), (96, 64), 24).save(
        proposal_path(str(folder), 'empty.mp4'))
    return folder


@pytest.fixture(scope='module')
def inferencer(folder):
    cfg = Config.fromfile(CONFIGS / 'tube_ranking.py')
    cfg.test_dataloader.dataset.pipeline[3].root = str(folder)
    return STVGInferencer(cfg, device='cpu', show_progress=False)


def test_sentences_pick_tubes(inferencer, folder):
    sentences = ['the red square', 'the blue square', 'a dog',
                 'the square on the right', 'the red square']
    video = str(folder / 'squares.mp4')
    results = inferencer(video, sentences)['predictions']
    boxes = [r.boxes[10].round().tolist() for r in results]
    red, blue, dog = [10, 20, 30, 40], [60, 20, 80, 40], [0, 50, 90, 60]
    assert boxes == [red, blue, dog, blue, red]
    assert 4 < results[0].span[0] <= 7 and 16 <= results[0].span[1] < 20
    assert results[1].span == (0, 24)
    assert 0 < results[0].confidence < 1
    # one by one, in one batch, two videos at once: the same
    two = inferencer([video] * 2, sentences, batch_size=10)['predictions']
    assert [r.to_dict()['boxes'] for r in two[:5]] == [
        r.to_dict()['boxes'] for r in results]


def test_nothing_proposed_is_not_found(inferencer, folder):
    result, = inferencer(str(folder / 'empty.mp4'), 'the red square',
                         pred_score_thr=0.01)['predictions']
    assert not result.found and result.confidence == 0.
    assert result.span == (0, 24) and np.isfinite(result.boxes).all()


def test_config_and_model_mistakes(inferencer, folder, tmp_path):
    with pytest.raises(FileNotFoundError, match='propose_tubes.py'):
        write_video(tmp_path / 'new.mp4', np.zeros((8, 64, 96, 3), np.uint8),
                    8)
        inferencer(str(tmp_path / 'new.mp4'), 'a dog')
    with pytest.raises(ValueError, match='weights are of detector, label'):
        ZeroShotTubeRanking(data_preprocessor=PRE, weights=dict(colour=1.))
    with pytest.raises(ValueError, match="only mode 'predict'"):
        inferencer.model(None, [], mode='loss')
    cfg = Config.fromfile(CONFIGS / 'tube_ranking.py')
    cfg.test_dataloader.dataset.pipeline.pop(3)
    cfg.test_dataloader.dataset.pipeline[-1].pop('video_keys')
    plain = STVGInferencer(cfg, device='cpu', show_progress=False)
    with pytest.raises(ValueError, match='needs LoadTubeProposals'):
        plain(str(folder / 'squares.mp4'), 'a dog')


def test_by_name_without_a_network():
    with pytest.raises(OSError, match='openai/clip-vit-base-patch32'):
        STVGInferencer('tube_ranking_grounding_dino_clip', device='cpu')


# -------------------------------------------------------- an image-text model
@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """A tiny CLIP with random weights and words by their letters."""
    from transformers import (CLIPConfig, CLIPImageProcessor, CLIPModel,
                              CLIPProcessor, CLIPTokenizer)
    folder = tmp_path_factory.mktemp('clip')
    letters = [chr(i) for i in range(97, 123)]
    vocabulary = [*letters, *(f'{c}</w>' for c in letters),
                  '<|startoftext|>', '<|endoftext|>']
    (folder / 'vocab.json').write_text(
        '{' + ', '.join(f'"{w}": {i}' for i, w in enumerate(vocabulary)) + '}')
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    tokenizer = CLIPTokenizer(str(folder / 'vocab.json'),
                              str(folder / 'merges.txt'))
    small = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1,
                 num_attention_heads=2)
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(
        text_config=dict(small, vocab_size=len(vocabulary), eos_token_id=53,
                         max_position_embeddings=20),
        vision_config=dict(small, image_size=16, patch_size=8),
        projection_dim=8)).save_pretrained(folder)
    CLIPProcessor(
        CLIPImageProcessor(size=dict(shortest_edge=16),
                           crop_size=dict(height=16, width=16)),
        tokenizer).save_pretrained(folder)
    return str(folder)


def test_images_are_compared_over_time(folder, clip):
    cfg = Config.fromfile(CONFIGS / 'tube_ranking.py')
    cfg.test_dataloader.dataset.pipeline[3].root = str(folder)
    cfg.model.update(image_text=clip, text_encoder=None, weights=dict(
        detector=0., label=0., color=0., place=0., image=1.))
    inferencer = STVGInferencer(cfg, device='cpu', show_progress=False)
    model = inferencer.model
    seen = []
    before = model.rank
    model.rank = lambda *args: seen.append(before(*args)) or seen[-1]
    result, = inferencer(str(folder / 'squares.mp4'), 'a dog')['predictions']
    (values, images), = seen
    assert len(values) == 3 and all(np.abs(v).max() <= 1
                                    for v in images.values())
    best = int(values.argmax())
    boxes = ([10, 20, 30, 40], [60, 20, 80, 40], [0, 50, 90, 60])
    assert result.boxes[12].round().tolist() == boxes[best]


def test_testing_needs_no_checkpoint():
    find = runpy.run_path(str(CONFIGS.parents[1] / 'tools' / 'test.py'))[
        'find_checkpoint']
    assert find('none', Config.fromfile(CONFIGS / 'tube_ranking.py')) is None
    costa = Config.fromfile(CONFIGS.parent / 'costa_hcstvg.py')
    with pytest.raises(ValueError, match='nothing without a checkpoint'):
        find('none', costa)
