# Copyright (c) costa_mm authors. All rights reserved.
"""From a name to a drawn tube, by files as they are published."""
import json
import os
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from costa_mm.apis import STVGInferencer
from costa_mm.datasets import PyAVReader
from costa_mm.engine import load_weights, read_checkpoint
from costa_mm.visualization import write_video
from costa_mm.weights import LAYOUTS
from costa_mm.weights import cache as cache_module
from costa_mm.weights import find_model, zoo
from costa_mm.weights.published_names import rename
from costa_mm.weights.reading import converted_path, find_converted
from .published import (METHODS, ROOT, build, published_file, published_state,
                        write_zoo)

DEMO = ROOT / 'demo' / 'stvg_demo.py'
NAMES = [m.name for m in zoo.list_models()
         if m.source and m.name.startswith(METHODS)]
# the drawing is the same for all
DRAWN = ('stcat_hcstvg_416', 'tubedetr_vidstg_k2_res224')


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """A zoo of narrow models, and the files of both methods."""
    root = tmp_path_factory.mktemp('zoo')
    entries = write_zoo(root)
    files = {}
    for method, name in zip(METHODS, ('stcat_vidstg', 'tubedetr_vidstg')):
        model = Config.fromfile(root / entries[name]['Config']).model
        files[method] = published_file(method, model)
    return root, entries, files


@pytest.fixture
def by_name(published, server, monkeypatch):
    """Every entry's file lies on a mirror under its published name."""
    root, entries, files = published
    monkeypatch.setattr(zoo, 'zoo_root', lambda: str(root))
    monkeypatch.setattr(cache_module, '_check_space', lambda *args: None)
    monkeypatch.setenv('COSTA_MM_MIRROR', server.url)
    for entry in entries.values():
        info = entry['Published']
        if info['Layout'] in files:
            server.files[f"/{info['File']}"] = files[info['Layout']][0]
    return root, entries, files


def run_demo(monkeypatch, *args):
    monkeypatch.setattr(sys, 'argv', [str(DEMO), *map(str, args)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(DEMO), run_name='__main__')
    return end.value.code


def test_there_is_an_entry_for_everything_public():
    assert len(NAMES) == 11


@pytest.fixture(scope='module')
def clip(test_data, tmp_path_factory):
    """The first second of a real clip, small."""
    path = tmp_path_factory.mktemp('clip') / 'throw.mp4'
    reader = PyAVReader()
    frames = reader.read(
        str(test_data / 'real_clips' / 'v_Basketball_g07_c04.mp4'),
        list(range(30)))
    write_video(str(path), frames[:, ::2, ::2], fps=30.)
    return path


@pytest.mark.parametrize('name', DRAWN)
def test_the_demo_ends_with_a_drawn_tube(name, by_name, clip, tmp_path,
                                         cache, monkeypatch, capsys):
    code = run_demo(monkeypatch, clip, 'the man throws the ball', '--model',
                    name, '--device', 'cpu', '--out-dir', tmp_path / 'out')
    assert code == 0, capsys.readouterr().err
    tube, = json.loads((tmp_path / 'out' / 'tubes.json').read_text()).values()
    start, end = tube['span']
    assert 0 <= start < end <= 30
    assert (tmp_path / 'out' / 'throw.mp4').stat().st_size > 0
    # converted once, beside the file
    source = find_model(name).source
    layout = LAYOUTS[by_name[1][name]['Published']['Layout']]
    assert Path(converted_path(str(cache / source.file), layout)).is_file()


@pytest.mark.parametrize('name', sorted(set(NAMES) - set(DRAWN)))
def test_every_other_entry_is_whole(name, by_name):
    state = read_checkpoint(name)['state_dict']
    cfg = Config.fromfile(find_model(name).config)
    with torch.device('meta'):
        own = build(cfg.model).state_dict()
    assert {n: v.shape for n, v in state.items()} == {
        n: v.shape for n, v in own.items()}


@pytest.mark.parametrize('name', ['stcat_hcstvg', 'tubedetr_hcstvg'])
def test_the_converted_model_is_the_direct_one(name, by_name, cache, server):
    root, entries, files = by_name
    layout = entries[name]['Published']['Layout']
    state = files[layout][1]
    cfg = Config.fromfile(root / entries[name]['Config'])
    direct = build(cfg.model)
    # strict: nothing missing, nothing left over
    direct.load_state_dict(rename(state, LAYOUTS[layout].rules).state)
    first = STVGInferencer(name, device='cpu', show_progress=False)
    again = STVGInferencer(name, device='cpu', show_progress=False)
    torch.manual_seed(3)
    frames = torch.randint(256, (20, 48, 64, 3), dtype=torch.uint8).numpy()
    found = []
    for inferencer in (first, again):
        own = inferencer.model.state_dict()
        wanted = direct.state_dict()
        assert own.keys() == wanted.keys()
        assert all(torch.equal(own[n], wanted[n]) for n in own)
        out = inferencer(frames, 'a man', fps=5.)['predictions'][0]
        found.append((out.boxes, out.start, out.end))
    inferencer.model.load_state_dict(direct.state_dict())
    out = inferencer(frames, 'a man', fps=5.)['predictions'][0]
    for one in found:
        for ours, theirs in zip(one, (out.boxes, out.start, out.end)):
            assert (ours == theirs).all()
    assert server.fetched(f"/{entries[name]['Published']['File']}") == 1


def test_a_published_file_needs_no_conversion_step(by_name, tmp_path, cache):
    root, entries, files = by_name
    path = tmp_path / 'my_copy.pth'
    path.write_bytes(files['stcat'][0])
    cfg = Config.fromfile(root / entries['stcat_hcstvg']['Config'])
    inferencer = STVGInferencer(cfg, path, 'cpu', show_progress=False)
    wanted = rename(files['stcat'][1], LAYOUTS['stcat'].rules).state
    own = inferencer.model.state_dict()
    assert all(torch.equal(own[n], wanted[n]) for n in wanted)
    # a folder of the user's is not written to
    assert sorted(p.name for p in tmp_path.iterdir()) == ['my_copy.pth']


def test_a_converted_file_replaces_the_published_one(by_name, cache, server):
    checkpoint = read_checkpoint('tubedetr_vidstg')
    path = str(cache / 'tubedetr_vidstg.pth')
    kept = find_converted(path)
    assert kept is not None
    # to save room; and no server is needed any more
    os.remove(path)
    server.files.clear()
    again = read_checkpoint('tubedetr_vidstg')['state_dict']
    assert again.keys() == checkpoint['state_dict'].keys()
    # a newer published file is converted anew
    os.utime(kept, (0, 0))
    Path(path).write_bytes(by_name[2]['tubedetr'][0])
    assert find_converted(path) is None
    read_checkpoint('tubedetr_vidstg')
    assert os.path.getmtime(kept) > 0


def test_a_cache_that_takes_no_conversion_is_enough(by_name, cache,
                                                    monkeypatch, capfd):
    read_checkpoint('tubedetr_vidstg')
    os.remove(find_converted(str(cache / 'tubedetr_vidstg.pth')))

    def full(*args, **kwargs):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('costa_mm.weights.reading.atomic_path', full)
    checkpoint = read_checkpoint('tubedetr_vidstg')
    assert checkpoint['meta']['layout'] == 'tubedetr'
    assert len(checkpoint['state_dict']) > 900


def test_weights_of_the_wrong_method_are_refused(by_name):
    root, entries, _ = by_name
    cfg = Config.fromfile(root / entries['stcat_hcstvg']['Config'])
    with pytest.raises(ValueError, match='another model'):
        STVGInferencer(cfg, 'tubedetr_vidstg', 'cpu', show_progress=False)


def test_a_tensor_that_no_rule_knows_is_an_error(by_name, tmp_path):
    state = dict(by_name[2]['stcat'][1])
    state['novelty.weight'] = torch.zeros(2)
    torch.save(dict(model_ema=state), tmp_path / 'newer.pth')
    with pytest.raises(ValueError, match='novelty'):
        read_checkpoint(str(tmp_path / 'newer.pth'))


def test_a_damaged_file_in_the_cache(by_name, cache):
    cache.mkdir(parents=True)
    (cache / 'vidstg_res448.pth').write_bytes(by_name[2]['stcat'][0][:5000])
    with pytest.raises(ValueError, match='vidstg_res448.pth.*remove it'):
        read_checkpoint('stcat_vidstg')


def test_mdetr_is_not_a_model(by_name, tmp_path):
    model = Config.fromfile(by_name[0] / 'configs/tubedetr_vidstg.py').model
    state = published_state(
        [n for n in by_name[2]['tubedetr'][1]
         if not n.startswith(('sted_embed', 'transformer.fast_'))],
        LAYOUTS['tubedetr'].rules, build(model).state_dict())
    torch.save(dict(model=state), tmp_path / 'mdetr.pth')
    with pytest.raises(ValueError, match='load_from'):
        read_checkpoint(str(tmp_path / 'mdetr.pth'))


def test_files_of_ours_are_untouched(tmp_path):
    model = torch.nn.Linear(2, 2)
    torch.save(dict(state_dict=model.state_dict(), meta={}),
               tmp_path / 'ours.pth')
    checkpoint = read_checkpoint(str(tmp_path / 'ours.pth'))
    other = torch.nn.Linear(2, 2)
    load_weights(other, checkpoint, 'ours.pth', whole=True)
    assert torch.equal(model.weight, other.weight)
