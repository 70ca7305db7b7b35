# Copyright (c) costa_mm authors. All rights reserved.
"""Averaged weights share what is frozen."""
import pytest
import torch
from engine_toy import ToyModel, toy_config
from mmengine.model import ExponentialMovingAverage

from costa_mm.engine import STVGRunner, TrainableEMA


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ToyModel()


def change(model):
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.rand_like(p))
        model.norm.running_mean.add_(1)


def test_equals_mmengine_and_shares_the_frozen_part(model):
    ours = TrainableEMA(model, momentum=0.1)
    theirs = ExponentialMovingAverage(model, momentum=0.1)
    assert ours.module.frozen.weight is model.frozen.weight
    assert ours.module.conv.weight is not model.conv.weight
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    for _ in range(4):
        change(model)
        ours.update_parameters(model)
        theirs.update_parameters(model)
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    # hand-computed: buffers follow, they are not averaged
    assert torch.equal(ours.module.norm.running_mean, torch.full((4, ), 4.))


def test_first_update_copies_and_second_averages():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(model.weight, 1.0)
    average = TrainableEMA(model, momentum=0.25)
    torch.nn.init.constant_(model.weight, 2.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 2.0
    torch.nn.init.constant_(model.weight, 6.0)
    average.update_parameters(model)
    assert average.module.weight.item() == 3.0  # 2 + (6 - 2) / 4


def test_model_keeps_its_gradients(model):
    TrainableEMA(model)
    assert model.conv.weight.requires_grad
    assert not model.frozen.weight.requires_grad


def test_thawed_weight_is_an_error(model):
    average = TrainableEMA(model)
    model.frozen.requires_grad_(True)
    with pytest.raises(RuntimeError, match='frozen.weight'):
        average.update_parameters(model)


def trained(work_dir, **changes):
    """Four epochs; the weights that every later test sees are noted."""
    runner = STVGRunner.from_cfg(
        toy_config(work_dir, **{'train_cfg.max_epochs': 4, **changes}))
    runner.train()
    seen, predict = [], runner.model.val_step

    def noted(data):
        seen.append(runner.model.head.weight.detach().clone())
        return predict(data)

    runner.model.val_step = runner.model.test_step = noted
    return runner, seen


def files(folder):
    return {p.name: p.read_bytes() for p in folder.glob('*.pth')}


@pytest.mark.parametrize('resumed', [False, True])
def test_averages_count_after_the_training(resumed, tmp_path):
    runner, seen = trained(tmp_path)
    saved = torch.load(tmp_path / 'iter_24.pth', weights_only=True)
    if resumed:  # of a finished run: nothing is trained
        runner, seen = trained(
            tmp_path, load_from=str(tmp_path / 'iter_24.pth'), resume=True)
    before, kept = runner.model.head.weight.clone(), files(tmp_path)
    scores = [runner.test(), runner.val(), runner.test()]
    assert all(torch.equal(w, saved['state_dict']['head.weight'])
               for w in seen)
    assert not torch.equal(before, seen[0])
    assert torch.equal(before, runner.model.head.weight)
    assert scores[0] == scores[1] == scores[2]
    # a validation that is not part of a training saves nothing
    assert files(tmp_path) == kept


def test_what_is_loaded_after_the_training_counts(tmp_path):
    runner, seen = trained(tmp_path)
    first = tmp_path / 'iter_22.pth'
    runner.load_checkpoint(str(first))
    runner.test()
    weights = torch.load(first, weights_only=True)['state_dict']
    assert all(torch.equal(w, weights['head.weight']) for w in seen)


def test_validation_without_training(tmp_path):
    """It tries what is there, and has nothing to save."""
    runner = STVGRunner.from_cfg(toy_config(tmp_path))
    assert runner.val().keys() == {'toy/count', 'toy/score'}
    assert not files(tmp_path)
