# Copyright (c) costa_mm authors. All rights reserved.
"""``torch.compile`` of the parts of a grounder that it helps."""
from fnmatch import fnmatchcase
from typing import List, Optional, Sequence

from torch import nn

from costa_mm.compat import answer_strides
from .repeated_parts import repeated_parts


def compile_parts(model: nn.Module,
                  parts: Optional[Sequence[str]] = None,
                  **kwargs) -> List[str]:
    """Compile parts of a model in place.

    Layers are compiled one by one, not the model as a whole: equal layers
    share their code, and what handles sentences and videos of different
    lengths stays Python.  Names in checkpoints do not change.

    Left to itself PyTorch makes code for the first size, then for any; parts
    that share their Python code, such as the connections of four stages, then
    reach its limit of 8 and run uncompiled.  ``dynamic=True`` makes code for
    any size from the start.

    Args:
        model (nn.Module): A :class:`SpatioTemporalGrounder`.
        parts (Sequence[str], optional): Names of modules, with ``*`` for any
            characters; of a module and its children the module is compiled.
            By default the :func:`repeated_parts`.
        **kwargs: For ``torch.compile``: ``mode``, ``dynamic``, ``backend``.

    Returns:
        list[str]: What is compiled when it is first called.

    Raises:
        ValueError: If one of the given names fits no module.
    """
    if parts is None:
        parts = [name for name, _ in repeated_parts(model)]
    if kwargs.get('backend', 'inductor') == 'inductor':
        answer_strides()
    chosen: List[str] = []
    used = set()
    for name, module in model.named_modules():
        fits = [p for p in parts if fnmatchcase(name, p)]
        used.update(fits)
        if not fits or any(name.startswith(f'{c}.') for c in chosen):
            continue
        module.compile(**kwargs)
        chosen.append(name)
    unused = [p for p in parts if p not in used]
    if unused:
        raise ValueError(f'compile_cfg: no module fits {unused}')
    return chosen
