# Copyright (c) costa_mm authors. All rights reserved.
"""Losses that come to the host when somebody looks at them."""
from typing import Dict, List, Optional, Tuple

import numpy as np
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.logging import HistoryBuffer, MessageHub
from torch import Tensor

from costa_mm.registry import HOOKS

# iterations after which values are read though nobody asked for them
MOST_WAITING = 1000


class PendingScalars:
    """Scalars of several iterations that are still on their device."""

    def __init__(self) -> None:
        self._values: List[Tensor] = []
        self._buffers: List['PendingBuffer'] = []

    def add(self, values: Dict['PendingBuffer', Tensor]) -> None:
        """Keep the scalars of one iteration, each for its buffer."""
        self._buffers += values
        self._values.append(
            torch.stack([v.detach().reshape(()) for v in values.values()]))
        if len(self._values) >= MOST_WAITING:
            self.read()

    def read(self) -> None:
        """Hand out all that is there; the host waits once."""
        values, self._values = self._values, []
        buffers, self._buffers = self._buffers, []
        if values:
            for buffer, value in zip(buffers, torch.cat(values).tolist()):
                buffer.update(value)


class PendingBuffer(HistoryBuffer):
    """``HistoryBuffer`` some of whose values have not been read yet.

    Whoever looks at it has them read.  Copies, and so what checkpoints hold,
    are plain ``HistoryBuffer``s.

    Args:
        pending (PendingScalars): Where values wait, of other buffers too.
        history (HistoryBuffer): What there was before.
    """

    def __init__(self, pending: PendingScalars,
                 history: HistoryBuffer) -> None:
        self._pending = pending
        super().__init__(*history.data, max_length=history.max_length)

    def __reduce_ex__(self, protocol) -> Tuple:
        return HistoryBuffer, (*self.data, self.max_length)

    @property
    def _log_history(self) -> np.ndarray:
        self._pending.read()
        return self._values

    @_log_history.setter
    def _log_history(self, values: np.ndarray) -> None:
        self._values = values

    @property
    def _count_history(self) -> np.ndarray:
        self._pending.read()
        return self._counts

    @_count_history.setter
    def _count_history(self, counts: np.ndarray) -> None:
        self._counts = counts


@HOOKS.register_module()
class STVGRuntimeInfoHook(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook`` that does not wait for the losses.

    MMEngine's reads every loss in every iteration, and each time the host
    waits for the device.  Here they stay there until a line of the log, a
    checkpoint or anybody else asks the message hub for one; all values that
    have gathered then come in one piece.  The numbers are the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pending = PendingScalars()

    def after_train_iter(self,
                         runner,
                         batch_idx: int,
                         data_batch=None,
                         outputs: Optional[dict] = None) -> None:
        """Keep what the model gave."""
        hub, waiting = runner.message_hub, {}
        for name, value in (outputs or {}).items():
            key = f'train/{name}'
            if key in hub.log_scalars and _may_wait(value):
                waiting[self._buffer(hub, key)] = value
            else:
                hub.update_scalar(key, value)
        if waiting:
            self._pending.add(waiting)

    def _buffer(self, hub: MessageHub, key: str) -> PendingBuffer:
        """The buffer of a scalar; a plain one is replaced."""
        buffer = hub.log_scalars[key]
        if not isinstance(buffer, PendingBuffer):
            buffer = PendingBuffer(self._pending, buffer)
            hub.log_scalars[key] = buffer
        return buffer


def _may_wait(value) -> bool:
    """Whether a value is a tensor that is the same number in float64."""
    return isinstance(value, Tensor) and value.is_floating_point()
