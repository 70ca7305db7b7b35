# Copyright (c) costa_mm authors. All rights reserved.
"""The steps from an annotation file to annotations whose video is known.

The dataset class, the converter and the checker take the same steps: parse
every entry, find every video, open videos.
"""
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Dict, List, Sequence, Tuple, Union

import numpy as np

from costa_mm.utils.parallel import run_parallel
from .annotation_files import FileFolder, Fit, repeated_keys
from .problems import Problems
from .readers import BaseVideoReader, VideoInfo, VideoReadError
from .records import SentenceAnnotation

# a released video below this size is a placeholder, not a clip
SMALL_FILE = 8192
# frame rates that differ by less are equal
FPS_TOLERANCE = 0.02
FACTS = VideoInfo._fields
Annotations = List[SentenceAnnotation]


def parse_entries(form: Any, data: Any, problems: Problems,
                  has_repeats: bool) -> Tuple[Annotations, Dict[str, str]]:
    """Parse all entries of a file; one error does not hide another.

    Args:
        form (BaseSTVGDataset | STVGFormat): Parses an entry.
        data (Any): Content of the file.
        problems (Problems): Takes what is wrong.
        has_repeats (bool): Whether an object gives a key twice.

    Returns:
        tuple[list[SentenceAnnotation], dict[str, str]]: The sentences without
        an error, and place and video of entries that have one.
    """
    annotations: Annotations = []
    broken = {}
    for key in getattr(data, 'repeated', ()):
        _note_repeated_key(problems, _plain(key), key)
    for key, entry in form.iter_entries(data):
        video = form.video_name(key, entry)
        place = _plain(key) if isinstance(key, str) else f'entry {key}'
        if isinstance(video, str) and video != key:
            place = f'{place} ({_plain(video)})'
        before = len(problems)
        for inside, name in repeated_keys(entry) if has_repeats else ():
            _note_repeated_key(problems, f'{place} {inside}'.strip(), name)
        with problems.at(place):
            for annotation in form.parse_data_info(key, entry):
                annotations.append(
                    annotation._replace(
                        entry=f'{place} {annotation.entry}'.strip(),
                        frame_ids=np.asarray(annotation.frame_ids, np.int64),
                        boxes=np.asarray(annotation.boxes,
                                         np.float64).reshape(-1, 4)))
        if len(problems) > before and isinstance(video, str):
            broken[place] = video
    if not annotations and not problems:
        problems.add('error', 'the file holds no sentence')
    return _drop_repeated_ids(annotations, problems), broken


def _plain(name: str) -> str:
    """A name for messages; escaped where it would not print in one line."""
    return name if name.strip() and name.isprintable() else ascii(name)


def _note_repeated_key(problems: Problems, place: str, key: str) -> None:
    problems.add(
        'error',
        f'the key {ascii(key)} is given twice in one object',
        place,
        fix='rename or merge one: of equal keys JSON keeps the last alone')


def _drop_repeated_ids(annotations: Annotations,
                       problems: Problems) -> Annotations:
    first: Dict[str, SentenceAnnotation] = {}
    for annotation in annotations:
        other = first.setdefault(annotation.sample_id, annotation)
        if other is not annotation:
            problems.add(
                'error',
                f'two sentences have this id: {annotation.sample_id!r}',
                annotation.entry,
                fix=f'ids are unique in a file; the other is {other.entry}')
    return list(first.values())


def locate_videos(annotations: Annotations, broken: Dict[str, str],
                folder: FileFolder, problems: Problems) -> Annotations:
    """Fill in the path of every video; missing videos are skipped.

    Args:
        annotations (list[SentenceAnnotation]): What was read.
        broken (dict[str, str]): Place and video of entries with an error,
            whose missing videos are told as well.
        folder (FileFolder): Of the videos.
        problems (Problems): Takes the missing ones.

    Returns:
        list[SentenceAnnotation]: Those whose video is there.
    """
    names = dict.fromkeys(a.video for a in annotations)
    files = folder.locate([*names, *broken.values()])
    for place, video in broken.items():
        if video not in names and len(files[video]) != 1:
            reason, detail = _not_found(files[video])
            problems.add('skipped', reason, place, detail=detail)
    found = []
    for annotation in annotations:
        paths = files[annotation.video]
        if len(paths) == 1:
            found.append(annotation._replace(video_path=paths[0]))
        else:
            annotation.note(problems, 'skipped', *_not_found(paths))
    _note_other_folders(found, folder, problems)
    return found


def _note_other_folders(found: Annotations, folder: FileFolder,
                        problems: Problems) -> None:
    """Say once how many videos lie in another folder than named."""
    videos: Dict[str, SentenceAnnotation] = {}
    for annotation in found:
        videos.setdefault(annotation.video, annotation)
    moved = [a for a in videos.values()
             if folder.fit(a.video, a.video_path) >= Fit.ELSEWHERE]
    if moved:
        first = moved[0]
        first.note(problems, 'warning',
                   'videos read from another folder than the named one',
                   f': {len(moved)}, the first is {first.video_path}')


def _not_found(paths: Sequence[str]) -> Tuple[str, str]:
    """Reason and detail of a video that is not there once."""
    if not paths:
        return 'missing video', ''
    return 'several videos have this name', f": {', '.join(paths[:3])}"


def open_videos(annotations: Annotations,
                dataset: Any,
                every: bool = False,
                num_workers: int = 0) -> Annotations:
    """Ask the videos for their size, length and rate.

    Very small files are opened in any case: among the released videos of
    HC-STVG, 84 are broken files of under 6 kB.

    Args:
        annotations (list[SentenceAnnotation]): With ``video_path``.
        dataset (BaseSTVGDataset): Has the reader and takes the problems.
        every (bool): Open every video: its own facts count and differences
            are told.  Else videos are asked what annotations do not say.
        num_workers (int): Processes; 0 opens them in a few threads.

    Returns:
        list[SentenceAnnotation]: The readable ones, with all facts; boxes
        are in the video's pixels.
    """
    paths = list(
        dict.fromkeys(a.video_path for a in annotations
                      if every or None in [getattr(a, key) for key in FACTS]
                      or os.path.getsize(a.video_path) < SMALL_FILE))
    probe = partial(_probe, dataset.reader)
    if num_workers:
        infos = run_parallel(probe, paths, num_workers, 'videos')
    else:
        with ThreadPoolExecutor(4) as pool:
            infos = list(pool.map(probe, paths))
    infos, out = dict(zip(paths, infos)), []
    for annotation in annotations:
        info = infos.get(annotation.video_path)
        if isinstance(info, VideoReadError):
            annotation.note(dataset.problems, 'skipped', 'unreadable video')
        elif info is None:
            out.append(annotation)
        elif not every:
            out.append(dataset.add_video_facts(annotation, info))
        elif _compare(annotation, info, dataset):
            out.append(dataset.use_video_facts(annotation, info))
    return out


def _probe(reader: BaseVideoReader,
           path: str) -> Union[VideoInfo, VideoReadError]:
    """Facts of a video or its error, for threads and processes."""
    try:
        return reader.probe(path)
    except VideoReadError as e:
        return e


def _compare(annotation: SentenceAnnotation, info: VideoInfo,
             dataset: Any) -> bool:
    """Note differences; False where boxes would be in the wrong place."""
    same_size = True
    for key, value in info._asdict().items():
        stated = getattr(annotation, key)
        tolerance = FPS_TOLERANCE * value if key == 'fps' else 0
        if stated is None or abs(stated - value) <= tolerance:
            continue
        if key == 'fps' and not dataset.states_fps:
            continue
        is_size = key in ('width', 'height')
        same_size = same_size and not is_size
        dataset.problems.add(
            'error' if is_size else 'warning',
            f'{key} differs from the video',
            annotation.entry,
            detail=f': it is {stated}, the video has {value}',
            sample_id=annotation.sample_id,
            fix=f'correct "{key}" or leave it out')
    return same_size
