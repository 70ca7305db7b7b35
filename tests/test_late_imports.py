# Copyright (c) costa_mm authors. All rights reserved.
"""What is imported late is there when it is wanted."""
import gc
import subprocess
import sys

import pytest

from costa_mm import late_imports


def test_stand_ins_go_even_if_the_import_fails():
    with pytest.raises(RuntimeError), late_imports.stand_in({'no_such': sys}):
        assert sys.modules['no_such'] is sys
        raise RuntimeError
    assert 'no_such' not in sys.modules


FRESH = """
import sys
import costa_mm.apis
print(*(name in sys.modules for name in {names!r}))
from mmdet.utils import imshow_mot_errors
try:
    imshow_mot_errors(backend='none')
except NotImplementedError:  # mmdet's own word
    print('drawn by mmdet')
import torch
from torch.distributed.optim import as_functional_optim
print(type(as_functional_optim(torch.optim.SGD, lr=1.)).__name__)
import numpy as np
from mmdet.models.task_modules.assigners import hungarian_assigner
print(*hungarian_assigner.linear_sum_assignment(np.eye(2))[1])
from mmdet.models.task_modules.tracking import KalmanFilter
kalman = KalmanFilter()
state = kalman.initiate(np.array([4., 4., 1., 2.]))
print(*kalman.update(*state, np.array([4., 4., 1., 2.]))[0][:4])
from mmdet.evaluation.metrics import crowdhuman_metric
print(crowdhuman_metric.csr_matrix(np.eye(2)).nnz)
print(*(sys.modules[name].__spec__ is not None for name in {used!r}))
"""


def test_what_imports_late_is_there_when_it_is_called():
    used = ['mmdet.utils.mot_error_visualize',
            'torch.distributed.optim.functional_sgd', 'scipy.linalg',
            'scipy.optimize', 'scipy.sparse']
    assert set(used) < set(late_imports._LATE_NAMES)
    names = [*late_imports._LATE_NAMES, 'matplotlib']
    done = subprocess.run(
        [sys.executable, '-c', FRESH.format(names=names, used=used)],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        ' '.join(['False'] * len(names)), 'drawn by mmdet', '_FunctionalSGD',
        '1 0', '4.0 4.0 1.0 2.0', '2', 'True True True True True']


def test_a_late_module_gives_way_to_who_asks_for_more():
    stand_in = late_imports._LateModule('colorsys', ('rgb_to_hsv', ))
    sys.modules.pop('colorsys', None)
    with late_imports.stand_in({'colorsys': stand_in}):
        from colorsys import rgb_to_hsv
        assert sys.modules['colorsys'] is stand_in
        from colorsys import hsv_to_rgb
        real = sys.modules['colorsys']
        assert hsv_to_rgb is real.hsv_to_rgb and real is not stand_in
    assert sys.modules['colorsys'] is real
    assert rgb_to_hsv(1, 0, 0) == real.rgb_to_hsv(1, 0, 0)
    assert not hasattr(stand_in, '__path__')


def test_the_collector_runs_again_after_an_import():
    for running in (True, False):
        (gc.enable if running else gc.disable)()
        try:
            with pytest.raises(ImportError), late_imports.quick_imports():
                assert not gc.isenabled()
                raise ImportError('no such package')
            assert gc.isenabled() == running
        finally:
            gc.enable()
