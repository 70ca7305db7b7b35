# Copyright (c) costa_mm authors. All rights reserved.
"""Reading, writing and comparing checkpoint files."""
import argparse
import pickle

import pytest
import torch
from torch import nn

from costa_mm.engine.checkpoint_io import (check_finite, compare_weights,
                                           latest_checkpoint, load_weights,
                                           read_checkpoint,
                                           save_checkpoint_file, weights_of)


def test_a_checkpoint_that_breaks_down_keeps_the_old_file(
        tmp_path, monkeypatch):
    path = tmp_path / 'a.pth'
    save_checkpoint_file(dict(a=1), str(path))

    def break_down(obj, f):
        f.write(b'new')
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, 'save', break_down)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint_file(dict(a=2), str(path))
    assert read_checkpoint(str(path)) == dict(a=1)
    assert [p.name for p in tmp_path.iterdir()] == ['a.pth']


class Evil:

    def __reduce__(self):
        return print, ('code ran',)


def test_pickled_code_does_not_run(tmp_path, capsys):
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict=Evil()), path)
    with pytest.raises(ValueError, match='evil.pth'):
        read_checkpoint(str(path))
    assert 'code ran' not in capsys.readouterr().out


class Strange:
    pass


@pytest.mark.parametrize('write, name', [
    (lambda x, p: torch.save(x, p), r'Strange'),
    (lambda x, p: torch.save(x, p, _use_new_zipfile_serialization=False),
     r'Strange'),
    (lambda x, p: p.write_bytes(pickle.dumps(x)), r'Strange'),
    (lambda x, p: torch.save(nn.Linear(1, 1), p), r'Linear'),
], ids=['zip', 'legacy', 'pickle', 'module'])
def test_the_class_that_may_not_be_loaded_is_named(tmp_path, write, name):
    path = tmp_path / 'a.pth'
    write(dict(state_dict={}, args=Strange()), path)
    with pytest.raises(ValueError, match=f'a.pth.*holds [^ ]*{name}, which'):
        read_checkpoint(str(path))


def test_arguments_of_a_command_line_may_be_held(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(args=argparse.Namespace(lr=1)), path)
    assert read_checkpoint(str(path))['args'].lr == 1


def test_a_pointer_is_no_checkpoint(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_text('version https://git-lfs.github.com/spec/v1\noid ...')
    with pytest.raises(ValueError, match='git lfs pull'):
        read_checkpoint(str(path))


@pytest.mark.parametrize(
    'content', [b'', b'not a checkpoint',
                pickle.dumps([1, 2])], ids=['empty', 'text', 'list'])
def test_damaged_files_are_named(tmp_path, content):
    path = tmp_path / 'broken.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='broken.pth'):
        read_checkpoint(str(path))
    with pytest.raises(FileNotFoundError, match='absent.pth'):
        read_checkpoint(str(tmp_path / 'absent.pth'))


def test_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / 'cut.pth'
    torch.save(dict(a=torch.zeros(1000)), path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match='cut.pth'):
        read_checkpoint(str(path))


def test_latest_checkpoint_follows_a_moved_folder(tmp_path):
    assert latest_checkpoint(str(tmp_path)) is None
    (tmp_path / 'last_checkpoint').write_text('/somewhere/else/iter_3.pth')
    (tmp_path / 'iter_3.pth').write_bytes(b'')
    assert latest_checkpoint(str(tmp_path)) == str(tmp_path / 'iter_3.pth')


def model():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))


def test_compare_weights():
    own = model()
    state = own.state_dict()
    state.pop('0.bias')
    state.pop('1.num_batches_tracked')  # absent from old checkpoints
    state['2.weight'] = torch.zeros(1, 4)
    state['9.weight'] = torch.zeros(1)
    assert compare_weights(own, state) == dict(
        missing=['0.bias'], unexpected=['9.weight'], reshaped=['2.weight'])


def test_load_weights_whole():
    source, target = model(), model()
    load_weights(
        target, dict(state_dict=source.state_dict()), 'a.pth', whole=True)
    assert torch.equal(target[0].weight, source[0].weight)
    renamed = {f'x_{k}': v for k, v in source.state_dict().items()}
    load_weights(
        target, renamed, 'a.pth', whole=True, revise_keys=[(r'^x_', '')])


@pytest.mark.parametrize('prefix', [
    'module.', '_orig_mod.', '_orig_mod.module.', 'module._orig_mod.',
    'module.module.'
])
@pytest.mark.parametrize('key', ['state_dict', 'model', 'model_ema', None])
def test_wrappers_leave_no_trace_in_names(prefix, key):
    source, target = model(), model()
    state = {f'{prefix}{k}': v for k, v in source.state_dict().items()}
    load_weights(
        target, {key: state, 'epoch': 3} if key else state, 'a.pth',
        whole=True)
    assert torch.equal(target[0].weight, source[0].weight)


def test_which_weights_are_taken():
    one, two = {'a': torch.zeros(1)}, {'a': torch.ones(1)}
    assert weights_of(dict(model=one, model_ema=two)) == two
    assert weights_of(dict(model=one, model_ema=None)) == one
    assert weights_of(dict(state_dict=one, model_ema=two)) == one
    assert weights_of({'a._orig_mod.b': one['a'], 'n': 3}) == {
        'a.b': one['a']
    }


@pytest.mark.parametrize('value', [float('nan'), float('inf'),
                                   float('-inf')])
@pytest.mark.parametrize('whole', [True, False])
def test_weights_that_are_not_finite_are_refused(value, whole):
    state = {k: v.clone() for k, v in model().state_dict().items()}
    state['0.weight'][1, 1] = value
    state['1.running_var'][0] = value
    target = model()
    before = target[2].weight.clone()
    with pytest.raises(
            ValueError, match='a.pth: 2 of 9 tensors .*0.weight, 1.running'):
        load_weights(target, dict(state_dict=state), 'a.pth', whole=whole)
    assert torch.equal(target[2].weight, before)


def test_masks_may_be_infinite_where_the_model_says_so():
    mask = {'m': torch.tensor([0., float('-inf')])}
    check_finite(mask, 'a.pth', mask)
    with pytest.raises(ValueError, match='1 of 1'):
        check_finite(mask, 'a.pth', {'m': torch.zeros(2)})


def test_foreign_checkpoints_are_errors():
    foreign = nn.Conv2d(1, 1, 1).state_dict()
    for whole in (True, False):
        with pytest.raises(ValueError, match='another model.*Sequential'):
            load_weights(model(), foreign, 'a.pth', whole=whole)


def test_a_part_is_enough_to_start_from():
    source, target = model(), model()
    state = source.state_dict()
    state['2.weight'] = torch.zeros(5, 3)
    before = target[2].weight.clone()
    load_weights(target, state, 'a.pth', whole=False)
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].weight, before)
    with pytest.raises(ValueError, match='1 reshaped .e.g. 2.weight'):
        load_weights(target, state, 'a.pth', whole=True)


def test_weights_of_one_part_are_enough_to_start_from():
    source, target = model(), model()
    part = {'0.weight': source[0].weight}  # one of four, all of the file
    load_weights(target, part, 'a.pth', whole=False)
    assert torch.equal(target[0].weight, source[0].weight)
    mostly_foreign = {**part, 'x': torch.zeros(1), 'y': torch.zeros(1)}
    with pytest.raises(ValueError, match='another model'):
        load_weights(target, mostly_foreign, 'a.pth', whole=False)
    with pytest.raises(ValueError, match='another model'):
        load_weights(target, {}, 'a.pth', whole=False)


def test_what_a_module_leaves_out_is_not_missed():
    own = model()

    def leave_out(module, state, prefix, metadata):
        for key in [k for k in state if k.startswith(f'{prefix}0.')]:
            del state[key]

    own._register_state_dict_hook(leave_out)
    load_weights(own, own.state_dict(), 'a.pth', whole=True)


def test_weights_of_a_trained_model_are_read_from_its_file_alone(monkeypatch):
    from costa_mm.engine import build_trained, checkpoint_io
    from costa_mm.utils.building import weights_will_follow
    seen = []

    def build(cfg):
        seen.append((cfg, weights_will_follow()))
        return nn.Linear(2, 1)

    monkeypatch.setattr(checkpoint_io.MODELS, 'build', build)
    state = {n: torch.full_like(p, 3.)
             for n, p in nn.Linear(2, 1).state_dict().items()}
    model = build_trained(dict(type='X'), dict(state_dict=state), 'x.pth')
    assert seen == [(dict(type='X'), True)] and not weights_will_follow()
    assert model.bias.item() == 3.
    with pytest.raises(ValueError, match='x.pth is a checkpoint of another'):
        build_trained({}, dict(state_dict=dict(bias=state['bias'])), 'x.pth')
