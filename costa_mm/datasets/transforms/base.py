# Copyright (c) costa_mm authors. All rights reserved.
"""What the transforms share."""
import inspect

from mmcv.transforms import BaseTransform


class ClipTransform(BaseTransform):
    """A transform of a clip that shows its options when it is printed.

    Every argument of ``__init__`` is an attribute of the same name.
    """

    def __repr__(self) -> str:
        options = ', '.join(
            f'{name}={getattr(self, name)!r}'
            for name in inspect.signature(type(self)).parameters)
        return f'{type(self).__name__}({options})'
