# Copyright (c) costa_mm authors. All rights reserved.
"""VidSTG: sentences from its own files, boxes from VidOR."""
from typing import (Any, Dict, Iterable, Iterator, List, NamedTuple, Optional,
                    Tuple)

import numpy as np

from costa_mm.registry import DATASETS
from .drafts import Draft
from .records import (FileFolder, as_boxes, as_int, as_object, as_positive,
                      as_text, read_json, schema_error)
from .stvg_dataset import BaseSTVGDataset

EXPECTED = ('a list of {"vid", "fps", "frame_count", "width", "height", '
            '"used_segment", "temporal_gt", "captions", "questions"}')
EXPECTED_VIDOR = '{"trajectories": [[{"tid", "bbox": {"xmin", ...}}], ...]}'
Tracks = Dict[int, Tuple[np.ndarray, np.ndarray]]


class VidSTGSentence(NamedTuple):
    """A sentence and the object whose boxes it asks for.

    Attributes:
        draft (Draft): Without boxes.
        vid (str): Id of the video in VidOR.
        target (int): Id of the object in VidOR's trajectories.
    """
    draft: Draft
    vid: str
    target: int


def read_vidstg_entry(index: int, entry: dict) -> List[VidSTGSentence]:
    """All sentences of one entry.

    ``temporal_gt.end_fid`` is exclusive and ``used_segment.end_fid``
    inclusive (counted on the real file); entries may lack questions.

    Args:
        index (int): Place of the entry in the file.
        entry (dict): What the file says.

    Returns:
        list[VidSTGSentence]: Captions (declarative), then questions
        (interrogative).

    Raises:
        KeyError: If a key is missing.
        ValueError: If a value is not as documented.
    """
    vid = as_text(str(as_object(entry, 'the entry')['vid']))
    event, segment = (
        as_object(entry[key], f'"{key}"')
        for key in ('temporal_gt', 'used_segment'))
    span = (as_int(event['begin_fid']), as_int(event['end_fid'], 1))
    used = (as_int(segment['begin_fid']), as_int(segment['end_fid']) + 1)
    if span[0] >= span[1] or used[0] >= used[1]:
        raise ValueError(f'temporal_gt {span} or used_segment {used} is empty')
    head = dict(
        video=f'{vid}.mp4',
        video_id=vid,
        num_frames=as_int(entry['frame_count'], 1),
        fps=as_positive(entry['fps']),
        width=as_int(entry['width'], 1),
        height=as_int(entry['height'], 1),
        segment=used,
        span=span)
    out = []
    for key, qtype in (('captions', 'declarative'), ('questions',
                                                     'interrogative')):
        sentences = entry.get(key) or []
        if not isinstance(sentences, list):
            raise ValueError(f'"{key}" is no list')
        for k, sentence in enumerate(sentences):
            as_object(sentence, f'"{key}"[{k}]')
            draft = Draft(
                sample_id=f'{vid}_{index}_{key[0]}{k}',
                sentence=as_text(sentence['description']),
                qtype=qtype,
                **head)
            out.append(
                VidSTGSentence(draft, vid, as_int(sentence['target_id'])))
    return out


def read_vidor_tracks(data: Any, file: str,
                      targets: Iterable[int]) -> Tracks:
    """Boxes of some objects of one VidOR video.

    Args:
        data (Any): Content of the VidOR file.
        file (str): Its name, for messages.
        targets (Iterable[int]): Objects wanted.

    Returns:
        dict[int, tuple[np.ndarray, np.ndarray]]: Frames, (N, ), and boxes,
        (N, 4), xyxy pixels, of every target; an object without a box in some
        frames has gaps, one without any box is empty.

    Raises:
        SchemaError: If the file is not as documented.
    """
    wanted = set(targets)
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
        schema_error(file, 'trajectories',
                     f'{e!r}; expected {EXPECTED_VIDOR}')


@DATASETS.register_module()
class VidSTGDataset(BaseSTVGDataset):
    """VidSTG as distributed, with VidOR's boxes.

    Reads the official sentence annotations (``train_annotations.json``,
    ``val_annotations.json``, ``test_annotations.json``) together with VidOR's
    per-video files, which takes minutes for the whole training split; the
    compact file that ``tools/dataset_converters/vidstg.py`` writes takes
    seconds.  Every caption is a declarative and every question an
    interrogative sample.  Frames are sampled in ``used_segment``.

    Args:
        ann_file (str): Annotation file, official or compact.
        data_prefix (dict): ``video``: folder of the videos; ``vidor``: folder
            of VidOR's annotation files (official form only).  Without
            ``vidor`` there are no boxes; such a split can be predicted only.
        **kwargs: See :class:`BaseSTVGDataset`.
    """

    METAINFO = dict(dataset_type='vidstg')

    def parse_annotations(self, data: Any) -> Iterator[Draft]:
        """See :meth:`BaseSTVGDataset.parse_annotations`."""
        sentences = list(iter_vidstg(data, self.ann_file))
        if not self.data_prefix.get('vidor'):
            yield from (sentence.draft for sentence in sentences)
            return
        folder = FileFolder(self.data_prefix['vidor'], ('.json', ))
        by_vid: Dict[str, List[VidSTGSentence]] = {}
        for sentence in sentences:
            by_vid.setdefault(sentence.vid, []).append(sentence)
        files = {vid: folder.find(f'{vid}.json') for vid in by_vid}
        if files and not any(files.values()):
            raise FileNotFoundError(
                f'no VidOR annotation file below {folder.root}: expected for '
                f'example {next(iter(files))}.json there or in a folder '
                'below; set data_prefix=dict(vidor=...)')
        for vid, group in by_vid.items():
            if files[vid] is None:
                for sentence in group:
                    self.left_out.add('missing VidOR annotation',
                                      sentence.draft.sample_id)
                continue
            yield from attach_boxes(group, files[vid])


def iter_vidstg(data: Any, file: str) -> Iterator[VidSTGSentence]:
    """All sentences of an official annotation file.

    Args:
        data (Any): Content of the file.
        file (str): Its name, for messages.

    Yields:
        VidSTGSentence: In the order of the file.

    Raises:
        SchemaError: Naming file, entry and what is expected.
    """
    if not isinstance(data, list):
        schema_error(file, None, f'expected {EXPECTED}, not a '
                     f'{type(data).__name__}')
    for index, entry in enumerate(data):
        if not isinstance(entry, dict):
            schema_error(file, index, f'expected {EXPECTED}')
        try:
            yield from read_vidstg_entry(index, entry)
        except KeyError as e:
            schema_error(file, _name(index, entry),
                         f'the key {e} is missing; expected {EXPECTED}')
        except ValueError as e:
            schema_error(file, _name(index, entry),
                         f'{e}; expected {EXPECTED}')


def _name(index: int, entry: dict) -> str:
    vid: Optional[Any] = entry.get('vid')
    return f'{index} (vid {vid})'


def attach_boxes(group: List[VidSTGSentence],
                 vidor_file: str) -> Iterator[Draft]:
    """Give the sentences of one video their boxes.

    Args:
        group (list[VidSTGSentence]): Sentences of one video.
        vidor_file (str): VidOR's file of that video.

    Yields:
        Draft: With the target's boxes inside the event.
    """
    tracks = read_vidor_tracks(
        read_json(vidor_file), vidor_file, {s.target
                                            for s in group})
    for draft, _, target in group:
        frame_ids, boxes = tracks[target]
        inside = (frame_ids >= draft.span[0]) & (frame_ids < draft.span[1])
        yield draft._replace(frame_ids=frame_ids[inside], boxes=boxes[inside])
