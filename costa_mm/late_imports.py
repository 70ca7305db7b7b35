# Copyright (c) costa_mm authors. All rights reserved.
"""Importing large packages without what they import and few ever call."""
import gc
import importlib
import sys
import types
from contextlib import contextmanager
from typing import Callable, Dict, Iterator, Sequence


@contextmanager
def stand_in(modules: dict) -> Iterator[None]:
    """Put modules into ``sys.modules`` for the time of an import."""
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Hold the garbage collector back while thousands of modules come in.

    What an import makes stays; looking through all of it again and again
    takes a fourth of the time of ``import costa_mm.apis``.  It counts as old
    afterwards, or the first collection would look through it after all.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            if not gc.get_freeze_count():  # else somebody's are frozen
                gc.freeze()
                gc.unfreeze()  # into the oldest generation
            gc.enable()


# module -> its names that packages below us import and few ever call
_OPTIMIZERS = 'torch.distributed.optim.functional_'
_LATE_NAMES = {
    # each is compiled when it is imported; MMEngine wants only the package
    **{f'{_OPTIMIZERS}{name.lower()}': (f'_Functional{name}', ) for name in (
        'Adadelta', 'Adagrad', 'Adam', 'Adamax', 'AdamW', 'RMSprop', 'Rprop',
        'SGD')},
    # imports matplotlib
    'mmdet.utils.mot_error_visualize': ('imshow_mot_errors', ),
    # 36 MB, for matching and tracking
    'scipy.interpolate': (),
    'scipy.linalg': (),
    'scipy.optimize': ('linear_sum_assignment', ),
    'scipy.sparse': ('csr_matrix', ),
    'scipy.sparse.csgraph': ('maximum_bipartite_matching', ),
}


def _late_call(module: str, name: str) -> Callable:
    """A function that imports what it stands for when it is called."""

    def late(*args, **kwargs):
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    late.__name__ = late.__qualname__ = name
    return late


class _LateModule(types.ModuleType):
    """Stands for a module; who asks for a name not listed gets the real one.

    Args:
        module (str): What it stands for.
        names (Sequence[str]): Functions of it that nobody calls in an import.
    """

    def __init__(self, module: str, names: Sequence[str]) -> None:
        super().__init__(module)
        for name in names:
            setattr(self, name, _late_call(module, name))

    def __getattr__(self, name: str):
        if name.startswith('__'):  # what the import system looks for
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _late_modules() -> Dict[str, types.ModuleType]:
    """Stand-ins for the modules of ``_LATE_NAMES`` that are not there yet."""
    return {
        module: _LateModule(module, names)
        for module, names in _LATE_NAMES.items() if module not in sys.modules
    }


@contextmanager
def quick_imports() -> Iterator[None]:
    """Import packages that import many others, without some of those."""
    with collector_paused(), stand_in(_late_modules()):
        yield
