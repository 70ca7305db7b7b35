# Copyright (c) costa_mm authors. All rights reserved.
"""What an iteration waits for, on a real card; see tests/test_fake_cuda.py."""
import os.path as osp
import warnings

import pytest
import torch
from paper_training import paper_training

from costa_mm.engine import ResumableEpochTrainLoop

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason='needs a GPU')

# of mmengine.device, where the log has it from
MEMORY = osp.join('mmengine', 'device', 'utils.py')


def test_an_iteration_waits_at_most_twice(tmp_path, monkeypatch):
    """The backward pass included, which fake tensors cannot reach."""
    waits, one = [], ResumableEpochTrainLoop.run_iter

    def run_iter(self, *args):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter('always')
            torch.cuda.set_sync_debug_mode('warn')
            try:
                one(self, *args)
            finally:
                torch.cuda.set_sync_debug_mode('default')
        # MMEngine's log asks for the memory when the losses are read anyway
        waits.append([f'{w.filename}:{w.lineno}' for w in found
                      if 'synchronizing CUDA operation' in str(w.message)
                      and not w.filename.endswith(MEMORY)])

    monkeypatch.setattr(ResumableEpochTrainLoop, 'run_iter', run_iter)
    paper_training(tmp_path).train()
    # the first iteration makes the histories of the losses; a line of the
    # log (the third and the last) reads the losses
    assert [len(w) for w in waits[1:]] == [1, 2, 1, 1, 2], waits
