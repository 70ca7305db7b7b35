# Copyright (c) costa_mm authors. All rights reserved.
"""What a package of its own adds, without a change of costa_mm."""
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DefaultScope
from torch.testing import assert_close

from costa_mm.datasets.conversion import convert_annotations
from costa_mm.datasets.validation import check_annotations
from costa_mm.registry import DATASETS, METRICS, MODELS, RUNNERS
from costa_mm.structures import Tube

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'projects' / 'example_method'
NUM_TRAIN = 4


@pytest.fixture(scope='module', autouse=True)
def example():
    """The package, registered for this module's tests only."""
    before = dict(DefaultScope._instance_dict)
    registries = [MODELS, DATASETS, *(
        __import__('costa_mm.registry', fromlist=['x']).__dict__[n]
        for n in ('EVAL_PROTOCOLS', ))]
    known = [dict(r._module_dict) for r in registries]
    sys.path.insert(0, str(FOLDER))
    DefaultScope.get_instance('test_example_method', scope_name='costa_mm')
    import example_method
    yield example_method
    sys.path.remove(str(FOLDER))
    for registry, modules in zip(registries, known):
        registry._module_dict.clear()
        registry._module_dict.update(modules)
    for name in [n for n in sys.modules if n.startswith('example_method')]:
        del sys.modules[name]
    DefaultScope._instance_dict.clear()
    DefaultScope._instance_dict.update(before)


def run(script: Path, *arguments) -> None:
    """A script as from a shell, without the time that a start takes."""
    before = sys.argv
    sys.argv = [str(script), *map(str, arguments)]
    try:
        runpy.run_path(str(script), run_name='__main__')
    except SystemExit as e:
        assert not e.code
    finally:
        sys.argv = before


@pytest.fixture(scope='module')
def films(tmp_path_factory) -> Path:
    """The data of the README, fewer of them."""
    folder = tmp_path_factory.mktemp('films')
    script = ROOT / 'tools' / 'dataset_converters' / 'make_synthetic_stvg.py'
    arguments = dict(zip(('--num-train', '--num-val', '--num-test'),
                         (NUM_TRAIN, 2, 2)))
    run(script, '--out', folder, '--workers', 1,
        *(x for pair in arguments.items() for x in pair))
    run(FOLDER / 'make_films.py', folder)
    return folder


@pytest.fixture
def cfg(films, tmp_path) -> Config:
    cfg = Config.fromfile(
        str(FOLDER / 'configs' / 'frame_token_films.py'),
        import_custom_modules=False)
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(films)
    cfg.merge_from_dict({
        'work_dir': str(tmp_path), 'train_cfg.max_epochs': 2,
        'train_cfg.val_interval': 2})
    return cfg


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return MODELS.build(cfg.model)


def test_costa_mm_does_not_know_it():
    names = [p.stem for p in (FOLDER / 'example_method').glob('*.py')]
    classes = ('GatedConnection', 'FrameTokenHead', 'BoxSpreadLoss',
               'WordGRUEncoder', 'FilmDataset', 'EveryThirdFrame',
               'box_spread', 'example_method')
    assert len(names) == 7
    for folder in ('costa_mm', 'tools', 'configs'):
        for path in (ROOT / folder).rglob('*.py'):
            text = path.read_text()
            assert not [c for c in classes if c in text], path


def test_it_trains_and_is_tested_by_its_own_protocol(cfg):
    runner = RUNNERS.build(
        cfg) if cfg.get('runner_type') else None
    runner.train()
    history = runner.message_hub.log_scalars
    spread = history['train/loss_spread'].data[0]
    assert len(spread) == 2 * NUM_TRAIN // 2
    scores = runner.test()
    assert {'stvg/EveryThirdFrame/vIoU@0.7', 'stvg/paper/m_vIoU'} <= {
        name if name.count('/') > 1 else f'stvg/paper/{name[5:]}'
        for name in scores}, sorted(scores)


def test_head_with_a_new_output_and_a_loss_on_it(cfg, model):
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = model.data_preprocessor(
        pseudo_collate([dataset[0], dataset[1]]), True)
    outs = model(**batch, mode='tensor')
    assert outs.named('box_spread').shape == outs.boxes.shape
    losses = model(**batch, mode='loss')
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
    targets = model.head.get_targets(batch['data_samples'], outs.frame_mask)
    pred, true = outs.boxes[-1], targets.boxes
    by_hand = 0.
    for i, has_box in enumerate(targets.has_box):
        for t in has_box.nonzero().flatten():
            spread = outs.named('box_spread')[-1, i, t]
            error = (pred[i, t] - true[i, t]).abs()
            by_hand += (error / spread.exp() + spread).sum() / (
                has_box.sum() * len(pred))
    assert_close(losses['loss_spread'], 0.1 * by_hand)


def test_the_loss_needs_its_head():
    with pytest.raises(ValueError, match=r"BoxSpreadLoss.*'box_spread'"):
        MODELS.build(dict(
            type='EntangledTubeHead', loss_spread=dict(type='BoxSpreadLoss')))


def test_dataset_has_a_checker_and_a_converter(films, tmp_path):
    videos = str(films / 'videos' / 'test')
    report = check_annotations(
        str(films / 'films_test.json'), videos, dataset_type='FilmDataset')
    assert report.num_sentences == 2 and report.num_errors == 0
    bad = json.loads((films / 'films_test.json').read_text())
    next(iter(bad.values()))['boxes'] = []
    (tmp_path / 'bad.json').write_text(json.dumps(bad))
    report = check_annotations(
        str(tmp_path / 'bad.json'), videos, dataset_type='FilmDataset')
    assert report.problems
    out = tmp_path / 'stvg.json'
    convert_annotations('FilmDataset', str(films / 'films_test.json'), videos,
                        str(out), 1)
    converted = DATASETS.build(dict(
        type='STVGDataset', ann_file=str(out), data_root=str(films),
        data_prefix=dict(video='videos/test'), test_mode=True))
    own = DATASETS.build(dict(
        type='FilmDataset', ann_file='films_test.json', data_root=str(films),
        data_prefix=dict(video='videos/test'), test_mode=True))
    assert len(converted) == len(own) == 2
    for i in range(2):
        a, b = converted.get_data_info(i), own.get_data_info(i)
        assert a['sentence'] == b['sentence']
        assert a['gt_tube'].span == b['gt_tube'].span
        assert (a['gt_tube'].boxes == b['gt_tube'].boxes).all()


def test_protocol_with_another_threshold():
    metric = METRICS.build(dict(
        type='STVGMetric',
        protocol=[dict(type='EveryThirdFrame', thresholds=(0.25, ))]))
    protocol, = metric.protocols
    box = [[0., 0., 10., 10.]]
    truth = Tube((0, 6), range(6), box * 6, num_frames=12)
    pred = Tube((3, 6), range(12), box * 12, num_frames=12)
    # frames 0 and 3 count, of which one is shared
    assert protocol.score(pred, truth).viou == 0.5
    assert protocol.thresholds == (0.25, )


def test_padding_changes_no_word(model):
    both = model.text_encoder.eval()(['a red circle', 'a circle that grows'])
    one = model.text_encoder(['a red circle'])
    assert_close(both.tokens[0, :3], one.tokens[0])
    assert both.mask.tolist() == [[False] * 3 + [True], [False] * 4]


def test_tools_take_it_by_custom_imports(films):
    script = ROOT / 'tools' / 'dataset_converters' / 'check_annotations.py'
    done = subprocess.run(
        [sys.executable, str(script), str(films / 'films_val.json'),
         '--videos', str(films / 'videos' / 'val'), '--dataset-type',
         'FilmDataset', '--custom-imports', 'example_method'],
        cwd=FOLDER, env={**__import__('os').environ,
                         'PYTHONPATH': f'{ROOT}:.'},
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 'FilmDataset, 2 sentences, 0 errors' in done.stdout
