# Copyright (c) costa_mm authors. All rights reserved.
"""VidSTG: sentences from its own files, boxes from VidOR."""
from typing import Any, Dict, List, Optional, Set, Tuple, Union

import numpy as np

from costa_mm.registry import DATASETS
from costa_mm.utils.parallel import run_parallel
from .annotation_files import FileFolder, read_json
from .base_dataset import BaseSTVGDataset
from .fields import (as_boxes, as_int, as_list, as_object, as_positive,
                     as_span, as_text)
from .problems import SchemaError
from .records import SentenceAnnotation

EXPECTED = ('a list of {"vid", "fps", "frame_count", "width", "height", '
            '"used_segment", "temporal_gt", "captions", "questions"}')
EXPECTED_VIDOR = '{"trajectories": [[{"tid", "bbox": {"xmin", ...}}], ...]}'
Tracks = Dict[int, Tuple[np.ndarray, np.ndarray]]


@DATASETS.register_module()
class VidSTGDataset(BaseSTVGDataset):
    """VidSTG as distributed, with VidOR's boxes.

    Reads the official sentence annotations (``train_annotations.json``,
    ``val_annotations.json``, ``test_annotations.json``) together with VidOR's
    per-video files, which takes minutes for the whole training split; the
    file that ``tools/dataset_converters/vidstg.py`` writes takes seconds.
    Every caption is a declarative and every question an interrogative
    sample.  Frames are sampled in ``used_segment``.

    Args:
        ann_file (str): Annotation file, official or converted.
        data_prefix (dict): ``video``: folder of the videos; ``vidor``: folder
            of VidOR's annotation files (official form only).  Without
            ``vidor`` there are no boxes; such a split can be predicted only.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='vidstg')
    EXPECTED = EXPECTED

    @classmethod
    def matches(cls, data: Any) -> bool:
        """Whether the content of a file is of VidSTG's form."""
        return isinstance(data, list)

    def video_name(self, key: int, entry: Any) -> Optional[str]:
        """See :meth:`BaseSTVGDataset.video_name`."""
        return f"{entry['vid']}.mp4" if isinstance(
            entry, dict) and 'vid' in entry else None

    def parse_data_info(self, key: int,
                        entry: Any) -> List[SentenceAnnotation]:
        """Captions (declarative), then questions (interrogative).

        ``temporal_gt.end_fid`` is exclusive and ``used_segment.end_fid``
        inclusive (counted on the real file); entries may lack questions.
        """
        vid = as_text(str(as_object(entry, 'the entry')['vid']))
        event = as_object(entry['temporal_gt'], '"temporal_gt"')
        used = as_object(entry['used_segment'], '"used_segment"')
        head = dict(
            video=f'{vid}.mp4',
            video_id=vid,
            num_frames=as_int(entry['frame_count'], 1),
            fps=as_positive(entry['fps']),
            width=as_int(entry['width'], 1),
            height=as_int(entry['height'], 1),
            segment=as_span(
                [used['begin_fid'], as_int(used['end_fid']) + 1]),
            span=as_span([event['begin_fid'], event['end_fid']]))
        parsed = []
        for name, qtype in (('captions', 'declarative'),
                            ('questions', 'interrogative')):
            sentences = as_list(entry.get(name) or [], f'"{name}"')
            for k, sentence in enumerate(sentences):
                place = f'{name}[{k}]'
                with self.problems.at(place):
                    as_object(sentence, 'the sentence')
                    parsed.append(
                        SentenceAnnotation(
                            sample_id=f'{vid}_{key}_{name[0]}{k}',
                            sentence=as_text(sentence['description']),
                            qtype=qtype,
                            track=str(as_int(sentence['target_id'])),
                            entry=place,
                            **head))
        return parsed

    def attach_boxes(self, annotations: List[SentenceAnnotation],
                     num_workers: int = 0) -> List[SentenceAnnotation]:
        """Give the sentences their objects' boxes, from VidOR's files."""
        if not self.data_prefix.get('vidor'):
            return annotations
        folder = FileFolder(self.data_prefix['vidor'], ('.json', ))
        groups: Dict[str, List[SentenceAnnotation]] = {}
        for annotation in annotations:
            groups.setdefault(annotation.video_id, []).append(annotation)
        files = folder.locate(f'{vid}.json' for vid in groups)
        tasks = [(found[0] if len(found) == 1 else None, group)
                 for found, group in zip(files.values(), groups.values())]
        if (tasks and not any(file for file, _ in tasks)
                and not self.problems.count('error')):
            raise FileNotFoundError(
                f'no VidOR annotation file below {folder.root}: expected for '
                f'example {next(iter(groups))}.json there or in a folder '
                'below; set data_prefix=dict(vidor=...)')
        results = run_parallel(_attach_tracks, tasks, num_workers,
                               'VidOR files')
        with_boxes = []
        for (file, group), result in zip(tasks, results):
            if isinstance(result, list):
                with_boxes += result
            elif file is None:
                for annotation in group:
                    annotation.note(self.problems, 'skipped', result)
            else:
                self.problems.add(
                    'error', result, fix=f'expected {EXPECTED_VIDOR}')
        return with_boxes


def _attach_tracks(
    task: Tuple[Optional[str], List[SentenceAnnotation]]
) -> Union[List[SentenceAnnotation], str]:
    """The sentences of a VidOR file with their boxes, or what is wrong."""
    file, group = task
    if file is None:
        return 'missing VidOR annotation'
    try:
        tracks = _read_tracks(
            read_json(file), file, {int(a.track) for a in group})
    except SchemaError as e:
        return str(e)
    out = []
    for annotation in group:
        frame_ids, boxes = tracks[int(annotation.track)]
        start, end = annotation.span
        inside = (frame_ids >= start) & (frame_ids < end)
        out.append(
            annotation._replace(
                frame_ids=frame_ids[inside], boxes=boxes[inside]))
    return out


def _read_tracks(data: Any, file: str, wanted: Set[int]) -> Tracks:
    """Frames, (N, ), and boxes, (N, 4), of some objects of a VidOR file.

    An object without a box in some frames has gaps; one without any box is
    empty.
    """
    frames: Dict[int, list] = {target: [] for target in wanted}
    boxes: Dict[int, list] = {target: [] for target in wanted}
    try:
        for frame, objects in enumerate(data['trajectories']):
            for item in objects:
                if item['tid'] in wanted:
                    if frames[item['tid']][-1:] == [frame]:
                        raise ValueError(f"object {item['tid']} has two "
                                         f'boxes in frame {frame}')
                    box = item['bbox']
                    frames[item['tid']].append(frame)
                    boxes[item['tid']].append(
                        [box[k] for k in ('xmin', 'ymin', 'xmax', 'ymax')])
        return {
            target: (np.array(frames[target], dtype=np.int64),
                     as_boxes(boxes[target]))
            for target in wanted
        }
    except (KeyError, TypeError, ValueError) as e:
        raise SchemaError(f'{file}, trajectories: {e!r}') from e
