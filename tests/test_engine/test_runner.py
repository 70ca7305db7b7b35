# Copyright (c) costa_mm authors. All rights reserved.
"""Runner: learning rates, loops, loaders."""
import pytest
import torch
from engine_toy import toy_config, train
from mmengine.config import Config
from mmengine.runner import Runner

from costa_mm.engine import (ResumableEpochTrainLoop, ResumableIterTrainLoop,
                             STVGRunner)
from costa_mm.utils.building import weights_will_follow


def runner(tmp_path, **changes):
    return STVGRunner.from_cfg(toy_config(tmp_path, **changes))


@pytest.mark.parametrize('accumulate, expected', [(1, 0.005), (4, 0.02)])
def test_auto_scale_lr_counts_accumulation(tmp_path, accumulate, expected):
    r = runner(
        tmp_path,
        auto_scale_lr=dict(enable=True, base_batch_size=4),
        **{'optim_wrapper.accumulative_counts': accumulate})
    wrapper = r.build_optim_wrapper(r.optim_wrapper)
    r.scale_lr(wrapper, r.auto_scale_lr)  # 0.01 * 2 * accumulate / 4
    assert wrapper.get_lr()['lr'] == [pytest.approx(expected)]
    r.scale_lr(wrapper, dict(enable=False))
    assert wrapper.get_lr()['lr'] == [pytest.approx(expected)]


def test_the_log_begins_with_the_figures(tmp_path, capsys):
    r = runner(tmp_path, log_level='INFO', experiment_name='log of figures',
               **{'default_hooks.logger.interval': 1,
                  'train_cfg.max_epochs': 1})
    r.train()
    folder, = [p.parent for p in tmp_path.glob('*/environment.txt')]
    lines = capsys.readouterr().out.splitlines()
    first = next(i for i, s in enumerate(lines) if 'Epoch(train)' in s)
    assert first <= 20
    assert not [s for s in lines if 'deprecated' in s]
    config, = [s.split('config: ')[1] for s in lines if ' config: ' in s]
    assert Config.fromfile(config).model == r.cfg.model
    told = (folder / 'environment.txt').read_text()
    assert 'PyTorch: ' in told and 'processes: 1' in told
    hooks = lines[[i for i, s in enumerate(lines)
                   if 'Hooks will be' in s][0] + 1]
    assert hooks.split(', ') == [type(h).__name__ for h in r.hooks]


def test_loops_by_their_config(tmp_path):
    r = runner(tmp_path)
    assert isinstance(r.train_loop, ResumableEpochTrainLoop)
    assert r.train_loop.max_iters == 48
    r = runner(
        tmp_path,
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=9))
    assert isinstance(r.train_loop, ResumableIterTrainLoop)
    assert r.train_loop.max_iters == 9


def test_loaders_do_not_wait_for_ever(tmp_path):
    r = runner(tmp_path)
    assert r.train_loop.dataloader.timeout > 0
    assert r.val_loop.dataloader.timeout == 0  # no workers
    r = runner(tmp_path, **{'train_dataloader.timeout': 7})
    assert r.train_loop.dataloader.timeout == 7


@pytest.mark.parametrize('fails', [False, True])
def test_no_worker_outlives_a_run(tmp_path, fails):
    """Left to the garbage collector, each would cost five seconds."""
    import multiprocessing

    before = set(multiprocessing.active_children())
    r = runner(tmp_path, **{'train_cfg.max_epochs': 1,
                            'val_dataloader.num_workers': 1,
                            'val_dataloader.persistent_workers': True})
    if fails:
        r.train_loop.run_iter = lambda *args: 1 / 0
        with pytest.raises(ZeroDivisionError):
            r.train()
    else:
        r.train()
        assert r.val()
    assert set(multiprocessing.active_children()) <= before


def test_a_sampler_without_offset_is_an_error(tmp_path):
    r = runner(
        tmp_path, **{
            'train_dataloader.sampler':
            dict(_delete_=True, type='mmengine.DefaultSampler')
        })
    with pytest.raises(TypeError, match='EpochSampler'):
        r.train()


def test_dead_worker_ends_the_run(tmp_path, monkeypatch):
    import os
    import signal

    import engine_toy

    def die(self, idx):
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(engine_toy.ToyDataset, '__getitem__', die)
    with pytest.raises(RuntimeError, match='worker'):
        train(tmp_path)


def test_hanging_worker_ends_the_run(tmp_path):
    with pytest.raises(RuntimeError, match='timed out after 1 seconds'):
        train(
            tmp_path, **{
                'train_dataloader.dataset.sleep': 30.0,
                'train_dataloader.timeout': 1
            })


def test_changed_batch_size_is_resumed_near_the_same_sample(
        finish, tmp_path):
    assert finish(train, tmp_path, **{'train_cfg.max_epochs': 1}) == 0
    cfg = toy_config(
        tmp_path,
        load_from=str(tmp_path / 'iter_4.pth'),
        resume=True,
        **{'train_dataloader.batch_size': 4})
    r = STVGRunner.from_cfg(cfg)
    assert r.train_loop.iter == 0
    r.optim_wrapper = r.build_optim_wrapper(r.optim_wrapper)
    r.param_schedulers = r.build_param_scheduler(r.param_schedulers)
    r.call_hook('before_run')
    r.load_or_resume()
    r.train_loop._find_start()
    assert r.train_loop._start == 2  # 4 batches of 2 are 2 of 4


def test_amp_trains_on_the_cpu_in_bfloat16(tmp_path, monkeypatch):
    import engine_toy
    seen = set()
    original = engine_toy.ToyModel.forward

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode == 'loss':
            seen.add(self.conv(torch.stack(inputs)).dtype)
        return original(self, inputs, data_samples, mode)

    monkeypatch.setattr(engine_toy.ToyModel, 'forward', forward)
    train(
        tmp_path, **{
            'optim_wrapper.type': 'STVGAmpOptimWrapper',
            'train_cfg.max_epochs': 1
        })
    assert seen == {torch.bfloat16}
    state = torch.load(tmp_path / 'iter_6.pth', weights_only=True)
    assert state['state_dict']['conv.weight'].dtype == torch.float32


def test_evaluation_under_autocast(tmp_path, monkeypatch):
    import engine_toy
    seen = set()
    original = engine_toy.ToyModel.forward

    def forward(self, inputs, data_samples=None, mode='tensor'):
        seen.add(self.conv(torch.stack(inputs)).dtype)
        return original(self, inputs, data_samples, mode)

    monkeypatch.setattr(engine_toy.ToyModel, 'forward', forward)
    runner(tmp_path, test_cfg=dict(fp16=True)).test()
    assert seen == {torch.bfloat16}


@pytest.mark.parametrize('changes, follow', [
    (dict(), False),
    (dict(load_from='x.pth'), False),  # may hold a part of the model
    (dict(load_from=[dict(weights='x')], resume=True), False),
    (dict(load_from='x.pth', resume=True), True),
    (dict(load_from='x.pth', train_dataloader=None, train_cfg=None,
          optim_wrapper=None, param_scheduler=None), True)])
def test_weights_that_a_checkpoint_brings_are_not_read(
        tmp_path, monkeypatch, changes, follow):
    seen = []
    build = STVGRunner.__mro__[1].build_model

    def noting(self, model):
        seen.append(weights_will_follow())
        return build(self, model)

    monkeypatch.setattr(STVGRunner.__mro__[1], 'build_model', noting)
    runner(tmp_path, **changes)
    assert seen == [follow]


def test_tf32_is_allowed_where_there_is_a_gpu(tmp_path, monkeypatch):
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32
    cfg = toy_config(tmp_path, env_cfg=dict(allow_tf32=not before))
    try:
        STVGRunner.from_cfg(cfg)
        assert matmul.allow_tf32 == before  # there is none
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        # the rest of the runner would use it
        monkeypatch.setattr(Runner, 'setup_env', lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            STVGRunner.from_cfg(cfg)
        assert matmul.allow_tf32 != before
    finally:
        matmul.allow_tf32 = before
