# Copyright (c) costa_mm authors. All rights reserved.
"""Problems of annotation files: collected, worded and counted in one place.

The dataset classes, the converter and the checker read a file along the same
path and differ only in what they do with the problems found on it.
"""
import logging
from contextlib import contextmanager
from typing import Dict, Iterator, List, NamedTuple, Optional

from mmengine.logging import print_log

MAX_SHOWN = 10
FIXES = {
    'missing video':
    'check the path and the folder of the videos',
    'several videos have this name':
    'give the path below the folder of the videos',
    'videos read from another folder than the named one':
    'give the path below the folder of the videos, if they are other videos',
    'unreadable video':
    'fetch or encode the video again',
    'no true span':
    'add "span": [start, end); without it the sentence can only be predicted',
    'no usable box':
    'add at least one box with an area inside the frame and the span',
    'some boxes without area dropped (sample kept)':
    'boxes are [x1, y1, x2, y2] (STVGDataset format) or [x, y, w, h] '
    '(HC-STVG) in pixels; correct or remove the named ones',
    'most boxes lie within two pixels: fractions of the frame?':
    'boxes are in pixels of the source frame: multiply by its width and '
    'height',
    'boxes on few frames of the event: a training sample may get none':
    'fill in between key frames with LoadTubeAnnotations(max_gap=N), or '
    'label more frames',
    'event behind the end of the video':
    'frames count from 0 (HC-STVG: from 1); is it another version of the '
    'video?',
    'event cut at the end of the video (kept)':
    'the end is exclusive and at most the number of frames',
    'segment behind the end of the video':
    'correct "segment"',
    'event outside the segment':
    'frames are only sampled inside the segment: let it hold the event',
    'tracks without a sentence (left out)':
    'say what the object does, or leave it if the track is not needed',
    'missing VidOR annotation':
    'fetch the file, or check data_prefix=dict(vidor=...)',
}


class SchemaError(ValueError):
    """An annotation file does not look as documented."""


class Problem(NamedTuple):
    """Something wrong with an annotation file.

    Attributes:
        level (str): 'error' (the dataset refuses the file), 'skipped' (it
            skips the sentence) or 'warning' (it uses the sentence).
        entry (str): Place in the file; '' is the file itself.
        what (str): What is wrong.
        fix (str): How to fix it.
        sample_id (str): The sentence, where one is meant.
        reason (str): What problems of one kind share, for counting.
    """
    level: str
    entry: str
    what: str
    fix: str
    sample_id: str = ''
    reason: str = ''

    def __str__(self) -> str:
        place = f'{self.entry}: ' if self.entry else ''
        return f'{place}{self.what}' + (f'; fix: {self.fix}'
                                        if self.fix else '')


class Problems:
    """Collects what is wrong with an annotation file.

    Args:
        fix (str): How to fix an entry that cannot be parsed, where nothing
            more exact is known.
    """

    def __init__(self, fix: str = '') -> None:
        self.fix = fix
        self._found: List[Problem] = []
        self._place: List[str] = []
        self._cause: Optional[Exception] = None

    # -- collecting ---------------------------------------------------------
    def add(self,
            level: str,
            reason: str,
            entry: str = '',
            *,
            detail: str = '',
            sample_id: str = '',
            fix: Optional[str] = None) -> None:
        """Note a problem.

        Args:
            level (str): See :class:`Problem`.
            reason (str): What is wrong.
            entry (str): Where; by default the place of :meth:`at`.
            detail (str): Added to the reason of this one.
            sample_id (str): The sentence, where one is meant.
            fix (str, optional): By default the one known for the reason.
        """
        if fix is None:
            fix = FIXES.get(reason, self.fix)
        self._found.append(
            Problem(level, entry or ' '.join(self._place), reason + detail,
                    fix, sample_id, reason))

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Turn what an entry's parser raises into an error at a place.

        Places nest: 'videos[0] (dog.mp4)', then 'sentences[1]'.
        """
        self._place.append(place)
        try:
            yield
        except KeyError as e:
            self._error(e, f'the key {e} is missing')
        except ValueError as e:
            self._error(e, str(e))
        except (TypeError, AttributeError, LookupError) as e:
            self._error(e, f'{type(e).__name__}: {e}')
        finally:
            self._place.pop()

    def _error(self, cause: Exception, what: str) -> None:
        self._cause = self._cause or cause
        self.add('error', ' '.join(what.split()))

    # -- asking -------------------------------------------------------------
    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def count(self, level: str) -> int:
        """Number of problems of a level."""
        return sum(problem.level == level for problem in self._found)

    def by_reason(self) -> Dict[str, List[Problem]]:
        """Problems of one kind together, in the order of their finding."""
        groups: Dict[str, List[Problem]] = {}
        for problem in self._found:
            groups.setdefault(problem.reason, []).append(problem)
        return groups

    def to_dict(self) -> Dict[str, List[str]]:
        """Reasons with all sample ids (or places), for a report file."""
        return {
            reason: [p.sample_id or p.entry for p in group]
            for reason, group in self.by_reason().items()
        }

    def summary(self, num_examples: int = 3) -> str:
        """One line per reason: the count and the first examples."""
        lines = []
        for reason, group in self.by_reason().items():
            shown = ', '.join(p.entry for p in group[:num_examples])
            more = ', ...' if len(group) > num_examples else ''
            lines.append(f'  {len(group)} x {reason}: {shown}{more}')
        return '\n'.join(lines)

    # -- reacting -----------------------------------------------------------
    def log(self, name: str, kept: int) -> None:
        """Say how many samples are kept and what was noted."""
        text = f'{name}: {kept} samples'
        if self:
            text += f', {len(self)} notes\n{self.summary()}'
        print_log(
            text,
            logger='current',
            level=logging.WARNING if self else logging.INFO)

    def require(self, records: list) -> None:
        """An error where no sentence is left."""
        if not records and not self.count('error'):
            self.add('error', 'the file leaves no sample to use', fix='')

    def raise_errors(self, file: str) -> None:
        """Refuse a file that has errors.

        Raises:
            SchemaError: With the first ones in full, one per line, and the
                count of everything else.
        """
        errors = [p for p in self._found if p.level == 'error']
        if not errors:
            return
        others = Problems()
        others._found = errors[MAX_SHOWN:] + [
            p for p in self._found if p.level != 'error'
        ]
        lines = [f'{file}: {errors[0]}']
        lines += [f'  {error}' for error in errors[1:MAX_SHOWN]]
        lines += [others.summary()] if others else []
        raise SchemaError('\n'.join(lines)) from self._cause
