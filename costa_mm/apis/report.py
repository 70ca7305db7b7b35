# Copyright (c) costa_mm authors. All rights reserved.
"""One page for a folder of results."""
import base64
import io
import os
from typing import Dict, List, NamedTuple, Optional, Union
from urllib.parse import quote

from PIL import Image

from costa_mm.utils.files import check_output, write_text
from costa_mm.visualization.html_report import (ReportLine, ReportVideo,
                                                html_report)
from costa_mm.visualization.html_timeline import span_text
from .outputs import TUBE_FILE, web_timeline
from .results import TubeResult, load_results

REPORT_FILE = 'report.html'


class WrittenReport(NamedTuple):
    """What :func:`write_report` wrote.

    Attributes:
        path (str): The page.
        embedded (int): Videos that it holds.
        linked (int): Videos that it links to, since the page would have
            become too large: they must stay where they are.
    """
    path: str
    embedded: int
    linked: int


def write_report(folder: Union[str, os.PathLike],
                 out: Union[str, os.PathLike, None] = None,
                 *,
                 title: Optional[str] = None,
                 max_megabytes: float = 300.0) -> WrittenReport:
    """Write one HTML file that shows all results of a folder.

    The page needs no network and no other file: videos with tubes and contact
    sheets are in it, as far as the folder has them.

    Args:
        folder (str | Path): The inferencer's ``out_dir``, with its
            ``tubes.json``.
        out (str | Path, optional): The page; default: ``report.html`` in the
            folder.
        title (str, optional): Heading; default: the folder's name.
        max_megabytes (float): Videos are put into the page as long as they
            have no more bytes together; further ones are linked.

    Raises:
        FileNotFoundError: If the folder has no ``tubes.json``.
        ValueError: If that is no file of the inferencer.
    """
    folder = os.fspath(folder)
    results = load_results(os.path.join(folder, TUBE_FILE))
    out = os.path.join(folder, REPORT_FILE) if out is None else os.fspath(out)
    check_output('the report', out)
    groups: Dict[str, List[TubeResult]] = {}
    for result in results:
        groups.setdefault(result.video, []).append(result)
    room, videos, linked = max_megabytes * 1e6, [], 0
    for group in groups.values():
        stem = os.path.join(folder, _name_of(group))
        size = _size(f'{stem}.mp4')
        embed = size is not None and size <= room
        room -= size if embed else 0
        linked += size is not None and not embed
        videos.append(_report_video(group, stem, embed, os.path.dirname(out)))
    title = title or os.path.basename(os.path.abspath(folder))
    write_text(html_report(title, videos), out)
    shown = sum(video.video is not None for video in videos)
    return WrittenReport(out, shown - linked, linked)


def _name_of(group: List[TubeResult]) -> str:
    """Name of a video's files: its samples have a number where several."""
    first = group[0].sample_id
    return first if len(group) == 1 else first.rpartition('_')[0]


def _size(path: str) -> Optional[int]:
    return os.path.getsize(path) if os.path.isfile(path) else None


def _report_video(group: List[TubeResult], stem: str, embed: bool,
                  home: str) -> ReportVideo:
    video, sheet = f'{stem}.mp4', f'{stem}_sheet.png'
    address = None
    if embed:
        with open(video, 'rb') as f:
            address = _data(f.read(), 'video/mp4')
    elif os.path.isfile(video):
        address = quote(os.path.relpath(video, home or '.'))
    return ReportVideo(
        os.path.basename(group[0].video),
        [_line(result, i) for i, result in enumerate(group)], address,
        _picture(sheet) if os.path.isfile(sheet) else None)


def _line(result: TubeResult, index: int) -> ReportLine:
    return ReportLine(result.sentence, span_text(*result.span, result.clock),
                      result.confidence, result.found,
                      web_timeline(result, index))


def _picture(path: str) -> str:
    """A picture as a small WebP file inside the page."""
    out = io.BytesIO()
    with Image.open(path) as image:
        image.save(out, 'WEBP', quality=80)
    return _data(out.getvalue(), 'image/webp')


def _data(content: bytes, kind: str) -> str:
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'
