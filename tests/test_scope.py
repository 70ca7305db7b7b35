# Copyright (c) costa_mm authors. All rights reserved.
"""Every public class is built by its prefix, whatever the default scope."""
import inspect
from pathlib import Path

import pytest
import tiny_model
import torch
from mmengine.registry import DefaultScope

import costa_mm.datasets
import costa_mm.engine
import costa_mm.evaluation
import costa_mm.models
import costa_mm.visualization  # noqa: F401
from costa_mm import registry

# any JSON object of objects
ATTRIBUTES = Path(__file__).parent / 'data' / 'attributes.json'
MODELS = {
    'CollaborativeResNet': tiny_model.backbone_cfg(),
    'NormSumConnection': dict(channels=4),
    'HadamardConnection': dict(channels=4),
    'ConcatConnection': dict(channels=4),
    'EfficientNetLite': dict(stage_channels=(4, ), stage_layers=(2, )),
    'HFTextEncoder': tiny_model.text_cfg(),
    'SpaceTimeFusionNeck': tiny_model.neck_cfg(),
    'EntangledTubeHead': tiny_model.head_cfg(),
    'AnchorBoxQuery': dict(embed_dims=16, num_layers=2),
    'ReferencePointQuery': dict(embed_dims=16, num_layers=2),
    'SpanKLLoss': {},
    'AttendanceLoss': {},
    'STVGDataPreprocessor': {},
    'SpatioTemporalGrounder': tiny_model.grounder_cfg(),
    'StridedGradResNet': dict(spatial=tiny_model.spatial_cfg()),
    'TwoStreamResNet': tiny_model.two_stream_cfg(),
    'MotionSwin': tiny_model.swin_cfg(),
    'SubjectTextEncoder': tiny_model.text_cfg(),
    'ZeroShotTubeRanking': dict(
        data_preprocessor=dict(type='costa_mm.STVGDataPreprocessor')),
}
TRANSFORMS = {
    'SampleFrames': dict(num_frames=4),
    'RandomTemporalCrop': dict(level='frames'),
    'LoadVideoFrames': {},
    'LoadTubeAnnotations': {},
    'LoadTubeProposals': dict(root='proposals'),
    'FlipWithText': {},
    'ResizeClip': dict(short_side=64),
    'RandomSizeCrop': dict(min_size=8, max_size=16),
    'RandomBranch':
    dict(branches=[[dict(type='costa_mm.ResizeClip', short_side=8)], []]),
    'ClipColorJitter': {},
    'CleanSentence': {},
    'PackSTVGInputs': {},
    'LoadTargetAttributes': dict(ann_file=str(ATTRIBUTES)),
    'DecordReader': {},
    'TorchCodecReader': {},
    'PyAVReader': {},
}
HOOKS = {
    'AtomicCheckpointHook': {},
    'NonFiniteLossHook': {},
    'STVGEMAHook': {},
    'SaveOnSignalHook': {},
    'TubeVisualizationHook': {},
}
METRICS = {'STVGMetric': {}}
# built elsewhere: it wraps a model
ELSEWHERE = {'TrainableEMA'}


def _cases() -> list:
    """Every class that costa_mm registers; unlisted ones by default."""
    cases = []
    for kind, table in (('MODELS', MODELS), ('TRANSFORMS', TRANSFORMS),
                        ('HOOKS', HOOKS), ('METRICS', METRICS)):
        own = {
            name
            for name, cls in getattr(registry, kind).module_dict.items()
            if inspect.getmodule(cls).__name__.startswith('costa_mm.')
        }
        assert set(table) <= own
        cases += [(kind, name, table.get(name, {}))
                  for name in sorted(own - ELSEWHERE)]
    return cases


CASES = _cases()


@pytest.fixture(params=['costa_mm', 'mmdet', 'mmaction', None])
def scope(request):
    """A default scope, or none at all."""
    name = request.param
    before = dict(DefaultScope._instance_dict)
    DefaultScope._instance_dict.clear()
    if name is not None:
        DefaultScope.get_instance('test_scope', scope_name=name)
    yield name
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


@pytest.mark.parametrize('kind,name,args', CASES, ids=lambda v: str(v)[:24])
def test_builds_by_prefix(scope, kind, name, args):
    cfg = {**args, 'type': f'costa_mm.{name}'}
    built = getattr(registry, kind).build(cfg)
    assert type(built).__name__ == name


@pytest.mark.parametrize('parent', ['mmdet', 'mmaction'])
def test_other_projects_build_our_parts(scope, parent):
    import importlib
    models = importlib.import_module(f'{parent}.registry').MODELS
    built = models.build(tiny_model.backbone_cfg(single_output=True))
    assert built(torch.randn(1, 3, 2, 32, 32)).shape == (1, 32, 2, 1, 1)
