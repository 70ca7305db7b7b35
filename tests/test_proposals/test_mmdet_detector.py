# Copyright (c) costa_mm authors. All rights reserved.
"""A detector of mmdet, tiny and random, through the whole chain."""
import os
import runpy
from pathlib import Path

import mmdet
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from costa_mm.compat import import_mmdet_models
from costa_mm.proposals.detectors import MMDetFrameDetector
from costa_mm.structures import load_proposals
from costa_mm.visualization import write_video

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'propose_tubes.py'
QUERIES = 10


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    """Config and checkpoint of mmdet's own DETR, made small."""
    import_mmdet_models()
    cfg = Config.fromfile(
        os.path.join(mmdet.__path__[0], '.mim', 'configs', 'detr',
                     'detr_r50_8xb2-150e_coco.py'))
    model = cfg.model
    model.backbone.update(depth=18, base_channels=8, stem_channels=8,
                          init_cfg=None)
    model.neck.update(in_channels=[64], out_channels=16)
    model.num_queries = model.test_cfg.max_per_img = QUERIES
    for part in (model.encoder, model.decoder):
        part.num_layers = 1
        for name, value in part.layer_cfg.items():
            if name.endswith('attn_cfg'):
                value.update(embed_dims=16, num_heads=2)
        part.layer_cfg.ffn_cfg.update(embed_dims=16, feedforward_channels=32)
    model.positional_encoding.num_feats = 8
    model.bbox_head.embed_dims = 16
    for step in cfg.test_dataloader.dataset.pipeline:
        if step['type'] == 'Resize':
            step['scale'] = (96, 64)
    folder = tmp_path_factory.mktemp('detr')
    cfg.dump(str(folder / 'detr.py'))
    torch.manual_seed(0)
    made = MMDetFrameDetector(str(folder / 'detr.py'))
    torch.save(
        dict(state_dict=made.model.state_dict(),
             meta=dict(dataset_meta=dict(classes=tuple(
                 f'thing {i}' for i in range(80))))),
        folder / 'detr.pth')
    return str(folder / 'detr.py'), str(folder / 'detr.pth')


def test_boxes_of_every_frame(detector):
    frames = np.random.default_rng(0).integers(
        0, 256, (3, 60, 80, 3), dtype=np.uint8)
    model = MMDetFrameDetector(*detector, score_thr=0., max_boxes=4)
    found = model.detect(frames, np.arange(3), 'v.mp4')
    assert len(found) == 3
    for one in found:
        assert one.boxes.shape == (4, 4) and len(one.labels) == 4
        assert all(label.startswith('thing ') for label in one.labels)
        assert (np.diff(one.scores) <= 0).all()
        assert (one.boxes[:, 2:] <= [80, 60]).all()
    # the order of the colours is that of mmdet's own files
    from mmdet.apis import inference_detector
    with DefaultScope.overwrite_default_scope('mmdet'):
        own = inference_detector(model.model, frames[0, :, :, ::-1].copy())
    best = own.pred_instances.scores.sort(descending=True).values[:4]
    np.testing.assert_allclose(found[0].scores, best.numpy(), rtol=1e-5)


def test_tubes_by_the_tool(detector, tmp_path, monkeypatch):
    video = tmp_path / 'clip.mp4'
    write_video(video, np.random.default_rng(0).integers(
        0, 256, (8, 60, 80, 3), dtype=np.uint8), 8)
    monkeypatch.chdir(tmp_path)
    scope = runpy.run_path(str(TOOL))
    assert scope['main']([str(video), '--mmdet', *detector, '--score-thr',
                          '0', '--out-dir', 'out', '--max-tubes', '3']) == 0
    tubes = load_proposals(tmp_path / 'out' / 'clip.tubes.npz')
    assert tubes.size == (80, 60) and 1 <= len(tubes.labels) <= 3
    assert tubes.labels[0].startswith('thing ')


def test_the_default_scope_stays(detector):
    before = list(DefaultScope._instance_dict)
    model = MMDetFrameDetector(*detector)
    model.detect(np.zeros((1, 60, 80, 3), np.uint8), np.arange(1), 'v.mp4')
    assert list(DefaultScope._instance_dict) == before
