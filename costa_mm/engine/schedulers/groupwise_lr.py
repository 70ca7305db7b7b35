# Copyright (c) costa_mm authors. All rights reserved.
"""One learning-rate schedule per named group of parameters."""
from typing import Dict, List, Optional, Sequence

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler

from costa_mm.registry import PARAM_SCHEDULERS
from .group_constructor import REST

_OPTIONS = {'warmup', 'milestones', 'gamma', 'to_zero'}


def lr_factor(step: int,
              total: int,
              *,
              warmup: float = 0.,
              milestones: Sequence[int] = (),
              gamma: float = 0.1,
              to_zero: bool = False) -> float:
    """What a learning rate is multiplied by.

    Args:
        step (int): From 0.
        total (int): Steps of the training.
        warmup (float): Share of ``total`` in which the factor rises linearly
            from 0.
        milestones (Sequence[int]): Steps from which on ``gamma`` applies once
            more.
        gamma (float): See ``milestones``.
        to_zero (bool): Fall linearly from the end of the warm-up to 0 at
            ``total``.

    Returns:
        float: Factor in [0, 1].
    """
    rise = round(warmup * total)
    if step < rise:
        # the lineage sets rates after a step, so its first one is not 0
        return max(step, 1) / rise
    if to_zero:
        return max(0., (total - step) / max(1, total - rise))
    return gamma**sum(step >= m for m in milestones)


@PARAM_SCHEDULERS.register_module()
class GroupwiseLR(_ParamScheduler):
    """Schedules named groups apart.

    MMEngine's schedulers act on all groups of an optimizer alike.  This one
    expects the groups of :class:`GroupOptimWrapperConstructor`.

    Args:
        optimizer (OptimWrapper): With named groups.
        schedules (dict[str, dict]): By group name, options of
            :func:`lr_factor`.  'rest' holds for all groups that are not
            named.
        begin (int): 0.
        end (int): Length of the training in steps.  With
            ``convert_to_iter_based=True`` in the config, ``end`` and
            milestones are epochs and the rate changes every iteration.
        last_step (int): See MMEngine.
        by_epoch (bool): See MMEngine.
        verbose (bool): See MMEngine.

    Raises:
        ValueError: If a group is named that does not exist, the length is
            missing, or an option is unknown.
    """

    def __init__(self,
                 optimizer,
                 *,
                 schedules: Dict[str, dict],
                 begin: int = 0,
                 end: int = INF,
                 last_step: int = -1,
                 by_epoch: bool = True,
                 verbose: bool = False) -> None:
        if begin != 0 or end >= INF:
            raise ValueError('GroupwiseLR begins at 0 and needs an end')
        names = [g.get('name') for g in optimizer.param_groups]
        strange = set(schedules) - set(names) - {REST}
        if strange:
            raise ValueError(f'schedules for {sorted(strange)}, but the '
                             f'groups are {names}')
        for name, options in schedules.items():
            if set(options) - _OPTIONS:
                raise ValueError(
                    f'schedule of {name!r} knows {sorted(_OPTIONS)}, not '
                    f'{sorted(set(options) - _OPTIONS)}')
        self.epoch_length: Optional[int] = None
        # MMEngine's wrapper adds a nameless group that logs the base rate
        self.schedules = [
            dict(schedules.get(name, schedules.get(REST, {})))
            for name in names
        ]
        super().__init__(optimizer, 'lr', begin, end, last_step, by_epoch,
                         verbose)

    @classmethod
    def build_iter_from_epoch(cls,
                              *args,
                              schedules: Dict[str, dict],
                              end: int,
                              begin: int = 0,
                              by_epoch: bool = True,
                              epoch_length: Optional[int] = None,
                              **kwargs) -> 'GroupwiseLR':
        """Turn epochs into iterations."""
        if not by_epoch or not epoch_length:
            raise ValueError('only schedules in epochs can be converted, and '
                             'the epoch needs a length')
        scaled = {
            name: {
                **options, 'milestones':
                [m * epoch_length for m in options.get('milestones', ())]
            }
            for name, options in schedules.items()
        }
        scheduler = cls(
            *args,
            schedules=scaled,
            begin=begin * epoch_length,
            end=end * epoch_length,
            by_epoch=False,
            **kwargs)
        scheduler.epoch_length = epoch_length
        return scheduler

    def load_state_dict(self, state_dict: dict) -> None:
        """Go on where another scheduler was, with this one's schedule.

        With another number of processes an epoch has other iterations than
        it had; the step is then that of the same place in training.

        Args:
            state_dict (dict): Of the interrupted run's scheduler.
        """
        own = dict(
            end=self.end,
            schedules=self.schedules,
            epoch_length=self.epoch_length)
        super().load_state_dict(state_dict)
        before = state_dict.get('epoch_length')
        self.__dict__.update(own)
        if before and self.epoch_length and before != self.epoch_length:
            at = round(self.last_step * self.epoch_length / before)
            # MMEngine's counter of calls, which stop at the end, goes along
            self._global_step += at - self.last_step
            self.last_step = at

    def _get_value(self) -> List[float]:
        """Rates of this step, in closed form."""
        return [
            base * lr_factor(self.last_step, self.end, **options)
            for base, options in zip(self.base_values, self.schedules)
        ]
