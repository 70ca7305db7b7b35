# Copyright (c) costa_mm authors. All rights reserved.
"""From any dataset to one file of the STVGDataset format."""
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from costa_mm.structures import Tube
from costa_mm.utils.files import write_json
from .base_dataset import BaseSTVGDataset
from .problems import Problems
from .reading import open_videos
from .validation import dataset_class


class Converted(NamedTuple):
    """Outcome of a conversion.

    Attributes:
        records (list[dict]): What is kept (see :class:`BaseSTVGDataset`).
        problems (Problems): What is not, and notes.
        tracks (dict[str, str]): Name of the object's track by sample id.
            Sentences of a video with the same name share their boxes, which
            halves the files of VidSTG.
    """
    records: List[dict]
    problems: Problems
    tracks: Dict[str, str]


def convert_annotations(dataset_type: str, ann_file: str, video_root: str,
                        out: str, num_workers: int, **options: Any) -> None:
    """Convert one split and say what was written.

    Args:
        dataset_type (str): Name of a registered class.
        ann_file (str): Annotation file of the split.
        video_root (str): Folder of the videos.
        out (str): File to write.
        num_workers (int): Processes.
        **options: Further arguments of the class.
    """
    dataset = build_dataset(dataset_type, ann_file, video_root,
                            lazy_init=True, **options)
    write_conversion(convert_dataset(dataset, num_workers), out, video_root)


def build_dataset(dataset_type: str, ann_file: str, video_root: str,
                  **options: Any) -> BaseSTVGDataset:
    """A split as the converters name it.

    Args:
        dataset_type (str): Name of a registered class.
        ann_file (str): Annotation file of the split.
        video_root (str): Folder of the videos.
        **options: Further arguments of the class.

    Raises:
        KeyError: If there is no such class.
    """
    prefix = dict(options.pop('data_prefix', {}), video=video_root)
    return dataset_class(dataset_type)(
        ann_file, data_prefix=prefix, **options)


def convert_dataset(dataset: BaseSTVGDataset,
                    num_workers: int = 0) -> Converted:
    """Read a dataset with the facts that its videos state.

    Every video is opened once, so that training need not at every start.
    Entries with an error are left out and reported like unusable ones.

    Args:
        dataset (BaseSTVGDataset): Of any registered class, built with
            ``lazy_init=True``.
        num_workers (int): Processes.

    Returns:
        Converted: For :func:`write_conversion`.

    Raises:
        FileNotFoundError: If the annotation file or all videos are missing.
        ValueError: If the file is of another format or no sentence is left.
    """
    annotations = dataset.find_videos(dataset.read_annotations(num_workers))
    annotations = open_videos(annotations, dataset, True, num_workers)
    records = dataset.make_records(annotations)
    if not records:
        dataset.problems.require(records)
        dataset.problems.raise_errors(dataset.ann_file)
    tracks = {a.sample_id: a.track for a in annotations if a.track}
    return Converted(records, dataset.problems, tracks)


def write_conversion(converted: Converted, out: str, video_root: str) -> None:
    """Write the annotation file and the report, and say what is in them.

    Args:
        converted (Converted): What was read.
        out (str): The annotation file; the report lies beside it.
        video_root (str): Video paths are written relative to it.
    """
    records, problems, _ = converted
    write_json(
        to_stvg_format(converted, video_root), out, separators=(',', ':'))
    report = f"{out.removesuffix('.gz').removesuffix('.json')}_report.json"
    write_json(dict(kept=len(records), notes=problems.to_dict()), report)
    num_videos = len({record['video_path'] for record in records})
    print(f'{len(records)} sentences of {num_videos} videos written to {out}')
    if problems:
        print(f'notes (all sample ids are in {report}):')
        print(problems.summary())


def to_stvg_format(converted: Converted, video_root: str) -> Dict[str, Any]:
    """Records as one object of the format of :class:`STVGDataset`.

    Args:
        converted (Converted): What was read.
        video_root (str): Video paths are written relative to it.
    """
    groups: Dict[Tuple[str, str], List[dict]] = {}
    for record in converted.records:
        key = record['video_path'], record['video_id']
        groups.setdefault(key, []).append(record)
    return dict(videos=[
        _video_entry(path, group, video_root, converted.tracks)
        for (path, _), group in groups.items()
    ])


def _video_entry(path: str, group: List[dict], video_root: str,
                 tracks: Dict[str, str]) -> dict:
    first = group[0]
    entry = dict(
        path=os.path.relpath(path, video_root or '.'),
        id=first['video_id'],
        num_frames=first['num_frames'],
        fps=first['fps'],
        width=first['width'],
        height=first['height'])
    shared, names = _share_tracks(group, tracks)
    if shared:
        entry['tracks'] = {k: v.entry() for k, v in shared.items()}
    entry['sentences'] = [
        _sentence_entry(record, names.get(record['sample_id']))
        for record in group
    ]
    return entry


class SharedTrack:
    """The boxes of an object, from sentences that agree about it."""

    def __init__(self) -> None:
        self._boxes: Dict[int, Optional[list]] = {}  # None: known to have none

    def add(self, tube: Tube) -> bool:
        """Take the boxes of a sentence, unless others would change it.

        Args:
            tube (Tube): All that is known of the object inside its span.

        Returns:
            bool: Whether they were taken.
        """
        boxes = dict.fromkeys(range(*tube.span))
        boxes.update(zip(tube.frame_ids.tolist(), tube.boxes.tolist()))
        if any(self._boxes.get(i, box) != box for i, box in boxes.items()):
            return False
        self._boxes.update(boxes)
        return True

    def entry(self) -> dict:
        """The track as the format has it."""
        boxes = {i: box for i, box in self._boxes.items() if box is not None}
        start = min(boxes, default=0)
        return dict(start=start, boxes=_box_list(boxes, start))


def _share_tracks(
        group: List[dict], tracks: Dict[str, str]
) -> Tuple[Dict[str, SharedTrack], Dict[str, str]]:
    """Tracks of a video by name, and the name that each sentence gets.

    Entries of one video may use a name for different objects: the boxes of
    the second one get another name.
    """
    shared: Dict[str, SharedTrack] = {}
    names: Dict[str, str] = {}
    taken = {tracks.get(record['sample_id']) for record in group}
    for record in group:
        name = first = tracks.get(record['sample_id'])
        if name is None or record['gt_tube'] is None:
            continue
        number = 1
        while not shared.setdefault(name, SharedTrack()).add(
                record['gt_tube']):
            number += 1
            name = f'{first}_{number}'
            while name in taken:
                name += '_'
        names[record['sample_id']] = name
    return shared, names


def _sentence_entry(record: dict, track: Optional[str]) -> dict:
    entry = dict(id=record['sample_id'], text=record['sentence'])
    if record['qtype'] is not None:
        entry['qtype'] = record['qtype']
    if tuple(record['segment']) != (0, record['num_frames']):
        entry['segment'] = list(record['segment'])
    if record['factors'] is not None:
        entry['factors'] = record['factors']
    tube = record['gt_tube']
    if tube is not None:
        entry['span'] = list(tube.span)
        if track is not None:
            entry['track'] = track
        elif len(tube.boxes):
            entry['boxes'] = _box_list(
                dict(zip(tube.frame_ids.tolist(), tube.boxes.tolist())),
                tube.span[0])
    return entry


def _box_list(boxes: Dict[int, Sequence[float]], start: int) -> list:
    """Boxes of consecutive frames from ``start`` on, None in gaps."""
    return [
        _numbers(boxes[i]) if i in boxes else None
        for i in range(start, max(boxes, default=start - 1) + 1)
    ]


def _numbers(box: Sequence[float]) -> list:
    """Whole numbers without their useless decimals."""
    return [int(c) if c == int(c) else round(float(c), 3) for c in box]
