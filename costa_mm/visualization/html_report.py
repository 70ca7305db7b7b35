# Copyright (c) costa_mm authors. All rights reserved.
"""A page that holds everything it shows: one file, no network."""
import html
from typing import List, NamedTuple, Optional, Sequence

from .html_timeline import CSS, SCRIPT

STYLE = """
:root {color-scheme: light dark; font: 15px/1.45 system-ui, sans-serif}
body {max-width: 1000px; margin: 0 auto; padding: 12px}
h1 {font-size: 1.4em; margin: 0} h2 {font-size: 1.1em; overflow-wrap: anywhere}
table {border-collapse: collapse; width: 100%}
td, th {text-align: left; padding: 3px 8px 3px 0; vertical-align: top;
  border-bottom: 1px solid color-mix(in srgb, currentColor 20%, transparent);
  overflow-wrap: anywhere}
.number {text-align: right; white-space: nowrap; overflow-wrap: normal}
.absent td {opacity: 0.6}
.grounded {margin-top: 28px} .grounded[hidden], tr[hidden] {display: none}
video, img {max-width: 100%; max-height: 70vh; display: block;
  margin-bottom: 8px}
input[type=search] {font: inherit; width: min(100%, 22em); padding: 4px 8px;
  margin: 10px 12px 10px 0}
"""

#: Rows and parts of the page that do not hold the words are hidden.
FILTER = """
(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const paint = () =>
    document.documentElement.classList.toggle('dark', dark.matches);
  dark.addEventListener('change', paint);
  paint();
  const words = document.querySelector('#words');
  const found = document.querySelector('#found');
  const narrow = () => {
    const shown = new Set();
    document.querySelectorAll('tbody tr').forEach(row => {
      row.hidden = (found.checked && row.classList.contains('absent')) ||
        !row.textContent.toLowerCase().includes(words.value.toLowerCase());
      if (!row.hidden) shown.add(row.dataset.video);
    });
    document.querySelectorAll('.grounded').forEach(part => {
      part.hidden = !shown.has(part.id);
    });
  };
  words.addEventListener('input', narrow);
  found.addEventListener('change', narrow);
  narrow();
})();
"""

POLICY = ("default-src 'none'; img-src data:; media-src data: file: 'self'; "
          "style-src 'unsafe-inline'; script-src 'unsafe-inline'")


class ReportLine(NamedTuple):
    """A sentence and its answer.

    Attributes:
        sentence (str): The sentence.
        when (str): The span in words.
        confidence (float): How sure the model is.
        found (bool): Whether the event is taken to be in the video.
        timeline (str): HTML of :func:`html_timeline`.
    """
    sentence: str
    when: str
    confidence: float
    found: bool
    timeline: str


class ReportVideo(NamedTuple):
    """A video and what was asked.

    Attributes:
        name (str): As people know it.
        lines (list[ReportLine]): Its sentences.
        video (str, optional): A ``data:`` address, or a relative path.
        picture (str, optional): A ``data:`` address of a contact sheet.
    """
    name: str
    lines: List[ReportLine]
    video: Optional[str] = None
    picture: Optional[str] = None


def html_report(title: str, videos: Sequence[ReportVideo]) -> str:
    """The page: a table of all sentences, then the videos one by one.

    A click or a drag in a timeline seeks in the video above it.  Colours
    follow the browser's, light or dark.

    Args:
        title (str): Heading.
        videos (Sequence[ReportVideo]): In the order of the page.
    """
    rows, parts, lines = [], [], [x for v in videos for x in v.lines]
    for number, video in enumerate(videos):
        rows += [_row(number, video.name, line) for line in video.lines]
        parts.append(_part(number, video))
    found = sum(line.found for line in lines)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, '
        f'initial-scale=1"><title>{html.escape(title)}</title>'
        f'<style>{STYLE}{CSS}</style></head><body>'
        f'<h1>{html.escape(title)}</h1><p>{len(videos)} videos, '
        f'{len(lines)} sentences, {found} found</p>'
        '<input type="search" id="words" aria-label="Show only what holds '
        'these words" placeholder="Show only ..."><label><input '
        'type="checkbox" id="found"> only what was found</label>'
        '<table><thead><tr><th>Video</th><th>Sentence</th><th>When</th>'
        '<th class="number">Confidence</th></tr></thead><tbody>'
        f'{"".join(rows)}</tbody></table>{"".join(parts)}'
        f'<script>{SCRIPT}{FILTER}</script></body></html>\n')


def _row(number: int, name: str, line: ReportLine) -> str:
    when = html.escape(line.when) if line.found else 'not in this video'
    absent = '' if line.found else ' class="absent"'
    return (f'<tr data-video="v{number}"{absent}><td><a href="#v{number}">'
            f'{html.escape(name)}</a></td><td>{html.escape(line.sentence)}'
            f'</td><td>{when}</td><td class="number">{line.confidence:.2f}'
            '</td></tr>')


def _part(number: int, video: ReportVideo) -> str:
    seen = ''
    if video.video is not None:
        seen = ('<video controls preload="metadata" src="'
                f'{html.escape(video.video)}"></video>')
    timelines = ''.join(line.timeline for line in video.lines)
    sheet = ''
    if video.picture is not None:
        sheet = ('<details><summary>Single frames</summary><img alt="Frames '
                 f'of the video" src="{html.escape(video.picture)}">'
                 '</details>')
    return (f'<section class="grounded" id="v{number}"><h2>'
            f'{html.escape(video.name)}</h2>{seen}{timelines}{sheet}'
            '</section>')
