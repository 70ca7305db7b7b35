# Copyright (c) costa_mm authors. All rights reserved.
"""From the distributed folders of HC-STVG and VidSTG to compact files."""
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from .compact import run_parallel
from .drafts import Draft, finish_record
from .hcstvg import EXPECTED as HCSTVG_EXPECTED
from .hcstvg import read_hcstvg_entry
from .readers import PyAVReader, VideoInfo, VideoReadError
from .records import FileFolder, LeftOut, SchemaError, read_json, schema_error
from .vidstg import VidSTGSentence, attach_boxes, iter_vidstg

# frames by which annotation and container may differ without a note
FRAME_TOLERANCE = 5


class Converted(NamedTuple):
    """Outcome of a conversion.

    Attributes:
        records (list[dict]): What is kept (see :class:`BaseSTVGDataset`).
        left_out (LeftOut): What is not, and notes.
        tracks (dict[str, str]): Track name by sample id.
    """
    records: List[dict]
    left_out: LeftOut
    tracks: Dict[str, str]


def probe_video(path: str) -> Optional[VideoInfo]:
    """Facts of a video, None if it does not open (for worker processes)."""
    try:
        return PyAVReader().probe(path)
    except VideoReadError:
        return None


def convert_hcstvg(ann_file: str,
                   video_root: str,
                   *,
                   clip_seconds: Optional[float] = 20.0,
                   num_workers: int = 1) -> Converted:
    """HC-STVG v1 or v2.

    Size, frame count and rate come from the videos.  Where a clip is
    ``clip_seconds`` long to within a second, its rate is frames /
    clip_seconds, the rule that the published sampling rests on.

    Args:
        ann_file (str): ``train.json`` and the like.
        video_root (str): Folder of the videos, in parts or not.
        clip_seconds (float, optional): None takes the videos' own rate.
        num_workers (int): Processes.

    Returns:
        Converted: Without tracks.

    Raises:
        SchemaError: If the file is none of HC-STVG; a single wrong entry is
            left out and reported.
    """
    data, left_out = read_json(ann_file), LeftOut()
    if not isinstance(data, dict) or 'videos' in data:
        schema_error(ann_file, None, f'expected {HCSTVG_EXPECTED}')
    drafts = []
    for name, entry in data.items():
        try:
            drafts.append(read_hcstvg_entry(name, entry))
        except (ValueError, KeyError) as e:
            left_out.add(f'wrong entry ({str(e)[:60]})', name)
    drafts = _locate(drafts, video_root, left_out)
    infos = _probe(drafts, num_workers)
    records = []
    for draft in drafts:
        info = infos[draft.video_path]
        if info is None:
            left_out.add('unreadable video', draft.sample_id)
            continue
        if (clip_seconds is not None
                and abs(info.num_frames / info.fps - clip_seconds) <= 1):
            info = info._replace(fps=info.num_frames / clip_seconds)
        records.append(_finish(draft, info, left_out))
    return Converted([r for r in records if r is not None], left_out, {})


def convert_vidstg(ann_file: str,
                   video_root: str,
                   vidor_root: str,
                   *,
                   num_workers: int = 1) -> Converted:
    """VidSTG with VidOR's boxes.

    Args:
        ann_file (str): ``train_annotations.json`` and the like.
        video_root (str): Folder of VidOR's videos, in parts or not.
        vidor_root (str): Folder of VidOR's annotation files.
        num_workers (int): Processes.

    Returns:
        Converted: Sentences that ask for the same object share a track.

    Raises:
        SchemaError: If the annotation file is not VidSTG's.
    """
    left_out = LeftOut()
    by_vid: Dict[str, List[VidSTGSentence]] = {}
    tracks = {}
    for sentence in iter_vidstg(read_json(ann_file), ann_file):
        by_vid.setdefault(sentence.vid, []).append(sentence)
        tracks[sentence.draft.sample_id] = str(sentence.target)
    folder = FileFolder(vidor_root, ('.json', ))
    tasks = []
    for vid, group in by_vid.items():
        file = folder.find(f'{vid}.json')
        if file is None:
            for sentence in group:
                left_out.add('missing VidOR annotation',
                             sentence.draft.sample_id)
        else:
            tasks.append((group, file))
    drafts: List[Draft] = []
    for (group, _), result in zip(
            tasks,
            run_parallel(_boxes_of, tasks, num_workers, 'VidOR files')):
        if isinstance(result, str):
            for sentence in group:
                left_out.add(f'wrong VidOR file ({result[:80]})',
                             sentence.draft.sample_id)
        else:
            drafts.extend(result)
    drafts = _locate(drafts, video_root, left_out)
    infos = _probe(drafts, num_workers)
    records = []
    for draft in drafts:
        if infos[draft.video_path] is None:
            left_out.add('unreadable video', draft.sample_id)
        else:
            records.append(
                _finish(draft, infos[draft.video_path], left_out))
    return Converted([r for r in records if r is not None], left_out, tracks)


def _boxes_of(task: Tuple[List[VidSTGSentence], str]) -> Any:
    """Drafts with boxes, or what is wrong with the VidOR file."""
    try:
        return list(attach_boxes(*task))
    except SchemaError as e:
        return str(e)


def _locate(drafts: List[Draft], video_root: str,
            left_out: LeftOut) -> List[Draft]:
    folder = FileFolder(video_root)
    paths = {name: folder.find(name) for name in {d.video for d in drafts}}
    if drafts and not any(paths.values()):
        raise FileNotFoundError(
            f'none of {len(paths)} videos is below {video_root}: expected '
            f'for example {drafts[0].video}')
    found = []
    for draft in drafts:
        if paths[draft.video] is None:
            left_out.add('missing video', draft.sample_id)
        else:
            found.append(draft._replace(video_path=paths[draft.video]))
    return found


def _probe(drafts: List[Draft],
           num_workers: int) -> Dict[str, Optional[VideoInfo]]:
    paths = list(dict.fromkeys(d.video_path for d in drafts))
    return dict(
        zip(paths, run_parallel(probe_video, paths, num_workers, 'videos')))


def _finish(draft: Draft, info: VideoInfo,
            left_out: LeftOut) -> Optional[dict]:
    """The record, with the video's own facts; differences are noted."""
    if (draft.num_frames is not None
            and abs(draft.num_frames - info.num_frames) > FRAME_TOLERANCE):
        left_out.add('frame count differs from the video (kept, the '
                     "video's is used)", draft.sample_id)
    size = (draft.width, draft.height)
    if None not in size and size != (info.width, info.height):
        left_out.add('frame size differs from the video: boxes would be in '
                     'the wrong place', draft.sample_id)
        return None
    return finish_record(
        draft._replace(**info._asdict()), left_out, test_mode=False)
