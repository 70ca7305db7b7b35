# Copyright (c) costa_mm authors. All rights reserved.
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn.functional as F

from costa_mm.models import MultiLabelLoss

LOGITS = torch.tensor([[0.5, -1., 2.], [1., 1., 0.], [-2., 0.3, 0.1],
                       [0.2, 0.4, 0.6]])


def labels(known):
    torch.manual_seed(0)
    out = torch.randint(0, 2, LOGITS.shape).float()
    out[~torch.tensor(known)] = -1
    return out


def gradient(rows, known):
    """Of the logits, by the videos of some rows."""
    logits = LOGITS[rows].clone().requires_grad_(True)
    MultiLabelLoss(loss_weight=3.)(logits, labels(known)[rows]).backward()
    return logits.grad


def test_by_hand():
    known = [True, False, True, False]
    found = MultiLabelLoss(loss_weight=2.)(LOGITS, labels(known))
    wanted = F.binary_cross_entropy_with_logits(LOGITS[::2],
                                                labels(known)[::2])
    assert found.item() == pytest.approx(2 * wanted.item())


def test_without_labels():
    grad = gradient(slice(None), [False] * 4)
    assert torch.equal(grad, torch.zeros_like(LOGITS))


def run(rank, folder, known):
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2)
    torch.save(gradient(slice(2 * rank, 2 * rank + 2), known),
               f'{folder}/{rank}.pth')
    dist.destroy_process_group()


@pytest.mark.parametrize('known', [
    [True, True, True, False], [False, True, False, False], [False] * 4])
def test_two_processes_have_the_gradients_of_one(known, tmp_path):
    """Labelled videos may all lie in one of them; DDP takes the mean."""
    mp.spawn(run, (str(tmp_path), known), nprocs=2)
    parts = [torch.load(tmp_path / f'{r}.pth') for r in (0, 1)]
    torch.testing.assert_close(
        torch.cat(parts) / 2, gradient(slice(None), known))
