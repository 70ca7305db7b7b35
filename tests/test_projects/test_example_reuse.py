# Copyright (c) costa_mm authors. All rights reserved.
"""Other projects' models train and predict with our encoder inside."""
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from costa_mm.models import CollaborativeResNet

FOLDER = Path(__file__).resolve().parents[2] / 'projects' / 'example_reuse'
SMALL = {
    'model.backbone.spatial.base_channels': 8,
    'model.backbone.spatial.stem_channels': 8,
    'model.backbone.temporal.base_channels': 8,
}


@pytest.fixture(params=['with a scope', 'in a list of bases'])
def build(request, tmp_path):
    """Builds a shrunk config, in both ways that the README tells."""
    from mmengine.registry import DefaultScope
    before = DefaultScope.get_current_instance()

    def call(name, **options):
        scope = 'mmdet' if 'detr' in name else 'mmaction'
        path, bases = tmp_path / name, [str(FOLDER / 'configs' / name)]
        if request.param == 'with a scope':
            path.write_text(f'_base_ = {bases!r}\ndefault_scope = {scope!r}')
        else:
            bases.insert(0, f'{scope}::_base_/default_runtime.py')
            path.write_text(f'_base_ = {bases!r}')
        cfg = Config.fromfile(str(path))
        assert cfg.default_scope == scope
        cfg.merge_from_dict({**SMALL, **options})
        init_default_scope(cfg.default_scope)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        assert isinstance(model.backbone, CollaborativeResNet)
        return model

    yield call
    init_default_scope('costa_mm' if before is None else before.scope_name)


def train_step(model, data):
    losses = model(**model.data_preprocessor(data, True), mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert torch.isfinite(loss)
    for name, parameter in model.backbone.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name


def test_recogniser_of_mmaction2(build):
    from mmaction.structures import ActionDataSample
    model = build('costa_backbone_recognizer.py', **{
        'model.cls_head.in_channels': 64, 'model.cls_head.num_classes': 5})
    clips = [torch.randint(256, (1, 3, 4, 32, 32), dtype=torch.uint8)] * 2
    data = dict(inputs=clips, data_samples=[
        ActionDataSample().set_gt_label(i) for i in range(2)])
    train_step(model, data)
    model.eval()
    with torch.no_grad():
        first, _ = model.test_step(data)
    assert first.pred_score.shape == (5, )
    assert first.pred_score.sum() == pytest.approx(1, abs=1e-5)


def test_detector_of_mmdet(build):
    from mmdet.structures import DetDataSample
    from mmengine.structures import InstanceData
    model = build('costa_backbone_detr.py', **{
        'model.neck.in_channels': [64], 'model.num_queries': 7,
        'model.encoder.num_layers': 1, 'model.decoder.num_layers': 1,
        'model.test_cfg.max_per_img': 7})
    sample = DetDataSample(metainfo=dict(
        img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1., 1.),
        batch_input_shape=(64, 64)))
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor([[5., 5., 40., 30.]]), labels=torch.tensor([3]))
    image = torch.randint(256, (3, 64, 64), dtype=torch.uint8)
    data = dict(inputs=[image], data_samples=[sample])
    train_step(model, data)
    model.eval()
    with torch.no_grad():
        result, = model.test_step(data)
    assert result.pred_instances.bboxes.shape == (7, 4)


def test_a_project_that_never_imported_us_builds_from_the_config_alone():
    code = (
        'import sys\n'
        'from mmengine.config import Config\n'
        'from mmengine.registry import MODELS\n'
        'for path in sys.argv[1:]:\n'
        '    model = MODELS.build(Config.fromfile(path).model)\n'
        '    print(type(model).__name__, type(model.backbone).__name__)\n')
    paths = sorted(map(str, (FOLDER / 'configs').glob('*.py')))
    done = subprocess.run([sys.executable, '-c', code, *paths],
                          capture_output=True, text=True)
    assert done.stdout.splitlines()[-2:] == [
        'DETR CollaborativeResNet', 'Recognizer3D CollaborativeResNet'
    ], done.stderr
