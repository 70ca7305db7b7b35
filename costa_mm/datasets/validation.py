# Copyright (c) costa_mm authors. All rights reserved.
"""Finding everything that is wrong with an annotation file."""
from typing import Any, Callable, Iterator, List, NamedTuple, Optional

from .drafts import Draft, finish_record
from .hcstvg import EXPECTED as HCSTVG_EXPECTED
from .hcstvg import read_hcstvg_entry
from .own_format import is_own_format, iter_own_format
from .readers import BaseVideoReader, VideoReadError
from .records import FileFolder, LeftOut, SchemaError, read_json
from .vidstg import read_vidstg_entry

MENDS = {
    'missing video':
    'check the path and the folder given with --videos',
    'unreadable video':
    'fetch or encode the video again',
    'no true span':
    'add "span": [start, end); without it the sentence can only be tested',
    'no usable box':
    'add at least one box with an area inside the frame and the span',
    'some boxes without area dropped (sample kept)':
    'boxes are [x1, y1, x2, y2] (own format) or [x, y, w, h] (HC-STVG) in '
    'pixels; correct or remove the named ones',
    'event behind the end of the video':
    'frames count from 0 (HC-STVG: from 1); is it another version of the '
    'video?',
    'event cut at the end of the video (kept)':
    'the end is exclusive and at most the number of frames',
    'segment behind the end of the video':
    'correct "segment"',
    'event outside the segment':
    'frames are only sampled inside the segment: let it hold the event',
}


class Problem(NamedTuple):
    """Something wrong with an annotation file.

    Attributes:
        level (str): 'error' (cannot be used) or 'warning'.
        entry (str): Which entry.
        what (str): What is wrong.
        mend (str): How to mend it.
    """
    level: str
    entry: str
    what: str
    mend: str

    def __str__(self) -> str:
        text = f'{self.level}: {self.entry}: {self.what}'
        return f'{text}\n    mend: {self.mend}' if self.mend else text


class Report(NamedTuple):
    """What a check found.

    Attributes:
        kind (str): 'own', 'hcstvg' or 'vidstg'.
        num_sentences (int): Sentences that could be read.
        problems (list[Problem]): In the order of the file.
    """
    kind: str
    num_sentences: int
    problems: List[Problem]

    @property
    def num_errors(self) -> int:
        """Number of errors."""
        return sum(p.level == 'error' for p in self.problems)


def check_annotations(path: str,
                      video_root: Optional[str] = None,
                      reader: Optional[BaseVideoReader] = None) -> Report:
    """Check a whole file instead of stopping at the first error.

    Args:
        path (str): Annotation file in the own, HC-STVG or VidSTG format.
        video_root (str, optional): Folder of the videos; None checks the
            file alone.
        reader (:obj:`BaseVideoReader`, optional): Opens every video and
            compares it with the annotation; None only looks for the file.

    Returns:
        Report: With all problems.

    Raises:
        FileNotFoundError: If the file is missing.
        SchemaError: If it is no JSON or of no known format.
    """
    data = read_json(path)
    problems: List[Problem] = []
    kind, entries = _entries(data, path)
    drafts = []
    for name, read in entries:
        try:
            drafts.extend(read())
        except KeyError as e:
            problems.append(
                Problem('error', name, f'the key {e} is missing', _form(kind)))
        except ValueError as e:
            text = str(e).replace(f'{path}, entry ', '')
            problems.append(Problem('error', name, text, _form(kind)))
    problems.extend(_repeated_ids(drafts))
    if video_root is not None:
        problems.extend(_check_videos(drafts, video_root, reader))
    else:
        problems.extend(_check_alone(drafts))
    return Report(kind, len(drafts), problems)


def _form(kind: str) -> str:
    return dict(
        own='see the format in docs/en/datasets/own_data.md',
        hcstvg=f'expected {HCSTVG_EXPECTED}',
        vidstg='see docs/en/datasets/vidstg.md')[kind]


def _entries(data: Any, path: str) -> tuple:
    """Kind of a file and a reader for each of its smallest parts."""
    if is_own_format(data):
        return 'own', list(_own_entries(data, path))
    if isinstance(data, list):
        return 'vidstg', [(f'entry {i}', _vidstg_reader(i, e))
                          for i, e in enumerate(data)]
    if isinstance(data, dict) and 'videos' not in data:
        return 'hcstvg', [(repr(k), _hcstvg_reader(k, v))
                          for k, v in data.items()]
    raise SchemaError(
        f'{path} is of no known format: expected an object with the list '
        '"videos" (own data), a list of entries (VidSTG) or '
        f'{HCSTVG_EXPECTED} (HC-STVG)')


def _vidstg_reader(index: int, entry: dict) -> Callable:
    return lambda: [s.draft for s in read_vidstg_entry(index, entry)]


def _hcstvg_reader(name: str, entry: dict) -> Callable:
    return lambda: [read_hcstvg_entry(name, entry)]


def _own_entries(data: dict, path: str) -> Iterator[tuple]:
    """One reader per sentence, so that one error does not hide another."""

    def reader(video: Any) -> Callable:
        return lambda: list(iter_own_format(dict(videos=[video]), path))

    for i, video in enumerate(data['videos']):
        name = f'videos[{i}]'
        sentences = video.get('sentences') if isinstance(video,
                                                         dict) else None
        if not isinstance(sentences, list):
            yield name, reader(video)
            continue
        name = f"{name} ({video.get('path')})"
        base = str(video.get('id', video.get('path')))
        for k, sentence in enumerate(sentences):
            if isinstance(sentence, dict):
                sentence = dict(dict(id=f'{base}_{k}'), **sentence)
            yield (f'{name} sentences[{k}]',
                   reader(dict(video, sentences=[sentence])))


def _repeated_ids(drafts: List[Draft]) -> Iterator[Problem]:
    seen = set()
    for draft in drafts:
        if draft.sample_id in seen:
            yield Problem('error', draft.sample_id,
                          'another sentence has the same id',
                          'ids are unique in a file')
        seen.add(draft.sample_id)


def _check_alone(drafts: List[Draft]) -> Iterator[Problem]:
    """What can be said without the videos."""
    for draft in drafts:
        if None not in (draft.num_frames, draft.width, draft.height):
            yield from _record_problems(draft._replace(fps=draft.fps or 1.0))


def _check_videos(drafts: List[Draft], video_root: str,
                  reader: Optional[BaseVideoReader]) -> Iterator[Problem]:
    folder, infos = FileFolder(video_root), {}
    for draft in drafts:
        path = folder.find(draft.video)
        if path is None:
            yield _problem(draft, 'missing video')
            continue
        if reader is None:
            yield from _check_alone([draft])
            continue
        if path not in infos:
            try:
                infos[path] = reader.probe(path)
            except VideoReadError as e:
                infos[path] = e
        info = infos[path]
        if isinstance(info, VideoReadError):
            yield _problem(draft, 'unreadable video')
            continue
        for key, value in info._asdict().items():
            stated = getattr(draft, key)
            tolerance = 0.02 * value if key == 'fps' else 0
            if stated is not None and abs(stated - value) > tolerance:
                level = 'warning' if key in ('fps', 'num_frames') else 'error'
                yield Problem(level, draft.sample_id,
                              f'{key} is {stated}, the video has {value}',
                              f'correct "{key}" or leave it out')
        yield from _record_problems(draft._replace(**info._asdict()))


def _record_problems(draft: Draft) -> Iterator[Problem]:
    left_out = LeftOut()
    record = finish_record(draft, left_out, test_mode=False)
    for reason in left_out.reasons:
        kept = record is not None or reason == 'no true span'
        yield Problem('warning' if kept else 'error', draft.sample_id, reason,
                      MENDS.get(reason, ''))


def _problem(draft: Draft, reason: str) -> Problem:
    return Problem('error', draft.sample_id, f'{reason} {draft.video}',
                   MENDS[reason])
