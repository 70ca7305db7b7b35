# Copyright (c) costa_mm authors. All rights reserved.
"""Reading, writing and comparing checkpoint files."""
import pickle

import pytest
import torch
from torch import nn

from costa_mm.engine.checkpoint_io import (TMP_SUFFIX, compare_weights,
                                           latest_checkpoint, load_weights,
                                           read_checkpoint, write_atomically)


def test_write_atomically_keeps_the_old_file(tmp_path):
    path = tmp_path / 'file'
    write_atomically(str(path), lambda f: f.write(b'old'))

    def break_down(f):
        f.write(b'new')
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(str(path), break_down)
    assert path.read_bytes() == b'old'
    assert not list(tmp_path.glob(f'*{TMP_SUFFIX}'))


class Evil:

    def __reduce__(self):
        return print, ('code ran',)


def test_pickled_code_does_not_run(tmp_path, capsys):
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict=Evil()), path)
    with pytest.raises(ValueError, match='evil.pth'):
        read_checkpoint(str(path))
    assert 'code ran' not in capsys.readouterr().out


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
    prefixed = {f'module.{k}': v for k, v in source.state_dict().items()}
    load_weights(
        target,
        prefixed,
        'a.pth',
        whole=True,
        revise_keys=[(r'^module\.', '')])


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
