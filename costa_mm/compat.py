# Copyright (c) costa_mm authors. All rights reserved.
"""Holes of the packages below us, each closed in one function.

Nothing else in the package knows about them.  :func:`apply` runs when
``costa_mm.registry`` is imported, which whatever builds something does; the
model libraries are imported by :func:`import_mmdet_models` and
:func:`import_mmaction_models`, which ``costa_mm.models`` calls before it names
any of their parts.
"""
import argparse
import datetime
import importlib
import importlib.util
import os
import pickle
import subprocess
import sys
import types
from contextlib import contextmanager
from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

from .dependencies import release
from .late_imports import stand_in


def pixel_conversion_options(num_threads: int) -> Dict[str, int]:
    """Options of PyAV's ``reformat`` that keep it to a number of threads.

    From PyAV 17 on it starts a thread per CPU unless told otherwise: slower
    than one thread for frames of usual sizes, the more so where data workers
    have taken the CPUs, and refused where threads are rationed (PyAV-Org/PyAV
    issues 2200 and 2281).  Earlier versions have one thread and no option.

    Args:
        num_threads (int): Threads; 0 for one per CPU.
    """
    import av
    if release(av.__version__) < (17, ):
        return {}
    return dict(threads=num_threads)


def _history_buffer_method(owner: type, name: str):
    """The one use of ``getattr`` that a checkpoint may make."""
    from mmengine.logging import HistoryBuffer
    if owner is not HistoryBuffer or name not in ('current', 'max', 'mean',
                                                  'min'):
        raise pickle.UnpicklingError(
            f'a checkpoint may not ask for {owner!r}.{name}')
    return getattr(owner, name)


def allow_checkpoint_globals() -> None:
    """Let ``weights_only=True`` read what OpenMMLab checkpoints hold.

    open-mmlab/mmengine#1655: torch >= 2.6 refuses ``HistoryBuffer`` and the
    NumPy scalars of the message hub, so resuming fails.  MDETR's and older
    OpenMMLab checkpoints also pickle an ``argparse.Namespace``.
    """
    import numpy as np
    import torch
    from mmengine.logging import HistoryBuffer
    core = getattr(np, '_core', None) or np.core
    multiarray = core.multiarray
    names = [
        HistoryBuffer, argparse.Namespace, np.ndarray, np.dtype,
        multiarray._reconstruct, multiarray.scalar
    ]
    # torch looks names up as they were pickled, and NumPy 1 and 2 differ
    names += [(multiarray._reconstruct,
               'numpy.core.multiarray._reconstruct'),
              (multiarray.scalar, 'numpy.core.multiarray.scalar')]
    # a HistoryBuffer pickles its statistics as getattr(HistoryBuffer, name);
    # getattr itself would open every object to a checkpoint
    names += [(_history_buffer_method, 'builtins.getattr')]
    names += [
        type(np.dtype(d))
        for d in ('float64', 'float32', 'float16', 'int64', 'int32', 'uint8',
                  'uint32', 'bool')
    ]
    torch.serialization.add_safe_globals(names)


def wait_without_spinning() -> None:
    """Let OpenMP's threads sleep where they wait for each other.

    They spin otherwise; where others want the cores, a small model takes ten
    times as long on two threads as on one.  GNU's and Intel's OpenMP read the
    variable when torch is imported; what the user has set stays.
    """
    if not {'OMP_WAIT_POLICY', 'KMP_BLOCKTIME', 'GOMP_SPINCOUNT'
            } & os.environ.keys():
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'


def answer_strides() -> None:
    """Let Inductor take an order of strides that it cannot tell for unknown.

    pytorch/pytorch#188422, torch 2.13: with ``dynamic=True`` it asks whether
    A * B is a multiple of T * A * B, meets T ** -1 on the way, and ends with
    "ValueRangeError: Invalid ranges [0:-1]" where the answer that it makes do
    with is no.
    """
    from torch._inductor.ir import Layout
    from torch.utils._sympy.value_ranges import ValueRangeError
    asked = getattr(Layout, '_stride_expr_ge_or_false', None)
    if asked is None or hasattr(asked, 'asked'):
        return

    def answered(left, right) -> bool:
        try:
            return asked(left, right)
        except ValueRangeError:
            return False

    answered.asked = asked
    Layout._stride_expr_ge_or_false = staticmethod(answered)


def apply() -> None:
    """Everything that has to be fixed before anything else runs."""
    if hasattr(__import__('torch').serialization, 'add_safe_globals'):
        allow_checkpoint_globals()


# --------------------------------------------------------------- mmcv-lite
class _MissingOps(types.ModuleType):
    """Stands in for ``mmcv._ext``; any op raises when it is called."""

    def __getattr__(self, name: str):
        if name.startswith('__'):
            raise AttributeError(name)

        def missing_op(*args, **kwargs):
            raise RuntimeError(
                f'the compiled op {name} needs full mmcv, and mmcv-lite is '
                'installed: pip uninstall mmcv-lite && '
                'pip install mmcv==2.1.0')

        return missing_op


def _mmcv_is_lite() -> bool:
    return importlib.util.find_spec('mmcv._ext') is None


def import_mmcv_ops() -> None:
    """Import ``mmcv.ops`` with mmcv-lite, which has no compiled ops.

    mmdet imports all of them.  The stand-in is removed again at once, since
    mmengine's ``mmcv_full_available`` calls ``pkgutil.find_loader``, which
    crashes on a module without a spec.
    """
    if 'mmcv.ops' in sys.modules:
        return
    if not _mmcv_is_lite():
        importlib.import_module('mmcv.ops')
        return
    with stand_in({'mmcv._ext': _MissingOps('mmcv._ext')}):
        importlib.import_module('mmcv.ops')


def import_transformers_models() -> None:
    """Import ``transformers.models`` by the list that transformers has made.

    It reads the source of all its models for that list when it is imported,
    and would do so again for this package (transformers 5.23).
    """
    import transformers
    from transformers.utils import import_utils
    define = getattr(import_utils, 'define_import_structure', None)
    if define is None or 'transformers.models' in sys.modules:
        return
    folder = Path(transformers.__file__).parent / 'models'
    models = _without_prefix(define(folder, prefix='models'), 'models.')

    def told(path: str, prefix: Optional[str] = None) -> dict:
        own = prefix is None and Path(path) == folder / '__init__.py'
        return models if own else define(path, prefix)

    import_utils.define_import_structure = told
    try:
        importlib.import_module('transformers.models')
    finally:
        import_utils.define_import_structure = define


def _without_prefix(structure: dict, prefix: str) -> dict:
    """What is below ``prefix`` of an import structure of transformers."""
    return {
        needed: {name[len(prefix):]: found for name, found in modules.items()
                 if name.startswith(prefix)}
        for needed, modules in structure.items()
    }


def import_mmdet_models() -> None:
    """Import ``mmdet.models`` so that ``mmdet.*`` types can be built."""
    import_mmcv_ops()
    import_transformers_models()
    importlib.import_module('mmdet.models')


# --------------------------------------------------------------- mmaction2
def _drn_stand_ins() -> dict:
    """The PyPI wheel of mmaction2 1.2.0 lacks ``localizers/drn``.

    open-mmlab/mmaction2#2714.  Nothing is done if the folder exists.
    """
    spec = importlib.util.find_spec('mmaction')
    root = list(spec.submodule_search_locations)[0]
    if os.path.isdir(os.path.join(root, 'models', 'localizers', 'drn')):
        return {}
    package = types.ModuleType('mmaction.models.localizers.drn')
    package.__path__ = []
    module = types.ModuleType('mmaction.models.localizers.drn.drn')

    class DRN:
        """Says what is missing when somebody builds it."""

        def __init__(self, *args, **kwargs):
            raise RuntimeError('the wheel of mmaction2 1.2.0 lacks DRN '
                               '(open-mmlab/mmaction2#2714)')

    module.DRN = DRN
    return {package.__name__: package, module.__name__: module}


@contextmanager
def _without_mmaction_multimodal() -> Iterator[None]:
    """Keep mmaction2's multimodal models out of the import.

    ``WITH_MULTIMODAL`` is true as soon as transformers is installed, though
    those models need timm and transformers 4.  We use none of them.
    """
    dependency = importlib.import_module('mmaction.utils.dependency')
    before = dependency.WITH_MULTIMODAL
    dependency.WITH_MULTIMODAL = False
    try:
        yield
    finally:
        dependency.WITH_MULTIMODAL = before


def import_mmaction_models() -> None:
    """Import ``mmaction.models`` so that ``mmaction.*`` can be built."""
    if 'mmaction.models' in sys.modules:
        return
    import_mmcv_ops()
    try:
        with stand_in(_drn_stand_ins()), _without_mmaction_multimodal():
            importlib.import_module('mmaction.models')
    except ModuleNotFoundError as e:
        if e.name == 'importlib_metadata':  # used, but not declared
            raise ImportError('mmaction2 needs importlib_metadata: '
                              'pip install importlib_metadata') from e
        raise


# ------------------------------------------------- distributed without CUDA
# launcher -> variables that hold (rank, world size, local rank)
_RANK_VARIABLES: Dict[str, Tuple[str, str, str]] = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE',
            'OMPI_COMM_WORLD_LOCAL_RANK'),
}


def _export_ranks(launcher: str) -> None:
    """Give torch the variables it reads, whatever the launcher calls them.

    Raises:
        KeyError: If the launcher's variables are not set.
    """
    names = _RANK_VARIABLES[launcher]
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise KeyError(
            f'launcher {launcher!r} needs the environment variables '
            f'{", ".join(missing)}: start with tools/dist_train.sh (torchrun) '
            'or tools/slurm_train.sh (srun)')
    values = [os.environ[name] for name in names]
    os.environ.update(
        RANK=values[0], WORLD_SIZE=values[1], LOCAL_RANK=values[2])


def _slurm_master() -> str:
    """First host of the job's node list."""
    nodes = os.environ.get('SLURM_NODELIST', '127.0.0.1')
    try:
        return subprocess.run(['scontrol', 'show', 'hostname', nodes],
                              check=True,
                              capture_output=True,
                              text=True).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return nodes


def init_dist_without_cuda(launcher: str, timeout: float) -> None:
    """Start a gloo process group before the Runner is built.

    MMEngine's ``init_dist`` calls ``torch.cuda.set_device``, which fails on a
    machine without CUDA (mmengine 0.10.7); where the group is there already
    the Runner takes it.

    Args:
        launcher (str): 'pytorch', 'slurm' or 'mpi'.
        timeout (float): Seconds that a collective waits for a rank.

    Raises:
        ValueError: If the launcher is unknown.
        KeyError: If the launcher's environment variables are not set.
    """
    from torch import distributed
    if launcher not in _RANK_VARIABLES:
        raise ValueError(f'launcher {launcher!r} is none of '
                         f'{tuple(_RANK_VARIABLES)}')
    _export_ranks(launcher)
    if launcher == 'slurm':
        os.environ.setdefault('MASTER_ADDR', _slurm_master())
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')
    distributed.init_process_group(
        backend='gloo', timeout=datetime.timedelta(seconds=timeout))


def cpu_model_wrapper(cfg: Optional[dict] = None, **defaults) -> dict:
    """``model_wrapper_cfg`` for DDP over CPU processes.

    The Runner of mmengine 0.10.7 hands DDP a device id otherwise.

    Args:
        cfg (dict, optional): What the config says of the wrapper.
        **defaults: What is taken where the config says nothing.
    """
    wrapper = dict(
        type='mmengine.MMDistributedDataParallel',
        broadcast_buffers=False,
        **defaults)
    wrapper.update(cfg or {}, device_ids=None)
    return wrapper
