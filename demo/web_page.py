# Copyright (c) costa_mm authors. All rights reserved.
"""The web page of demo/webapp.py: what it looks like and does."""
import html
import os
import queue
import threading
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Tuple
from urllib.parse import parse_qs, urlencode

from costa_mm.apis import TubeResult
from costa_mm.apis.outputs import color_of, web_timeline
from costa_mm.apis.service import (Answer, GroundingService, Limits,
                                   RequestError)
from costa_mm.visualization.html_timeline import CSS as TIMELINE_CSS
from costa_mm.visualization.html_timeline import SCRIPT
from costa_mm.weights import training_data

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
try:
    import gradio as gr
except ImportError:
    gr = None

TITLE = 'When and where does it happen?'
INTRO = ('Choose a video, write what to look for, one sentence per line. '
         'Every sentence gets a tube: when the event happens and where its '
         'object is, frame by frame.')
CSS = TIMELINE_CSS + """
.tubes {border-collapse: collapse; width: 100%}
#table .tubes, #table .tubes * {border: 0}
#table .tubes td, #table .tubes th {padding: 6px 8px; text-align: left;
  border-bottom: 1px solid var(--border-color-primary)}
#table .tubes td:nth-child(2) {overflow-wrap: anywhere}
#table .tubes td:first-child {white-space: nowrap}
.swatch {display: inline-block; width: 1em; height: 1em; border-radius: 3px;
  vertical-align: -0.1em; margin-right: 0.3em}
.frames {opacity: 0.75; font-size: 0.9em}
.absent {opacity: 0.6}
#status .stage, #status .wrong {padding: 10px 12px; border-radius: 6px;
  background: var(--background-fill-secondary)}
#status .wrong {border-left: 4px solid #c62828}
@media (max-width: 600px) {
  #table .tubes th {display: none}
  #table .tubes td {display: inline-block; border: 0; padding: 2px 6px}
  #table .tubes td:nth-child(2) {width: 80%}
}
#status progress {width: 100%; height: 6px}
#input-video video, #output-video video {max-height: 400px}
#maps .grid-wrap {max-height: none; min-height: 0}
#maps .thumbnail-item {aspect-ratio: auto; height: auto}
.gallery-container:has(.preview) {min-height: 620px}
/* Trimming would fetch a program from another machine. */
#input-video button[aria-label^="Trim"] {display: none}
"""
# What the reader waits for comes into view, also below a long form.
TO_ANSWER = """() => { for (const name of ['#table table', '#status']) {
  const box = document.querySelector(name)?.getBoundingClientRect();
  if (!box) continue;
  if (box.top < 0 || box.top > innerHeight / 2)
    scrollBy({top: box.top - 20, behavior: 'smooth'});
  break; } return []; }"""
RUN_LINK = """() => { if (new URLSearchParams(location.search).has(
  'sentences')) setTimeout(() => document.querySelector('#find').click(), 500);
  return []; }"""
Example = List[str]  # path of a video, its sentences


def results_table(results: List[TubeResult]) -> str:
    """Results as an HTML table, each with the colour of its tube."""
    rows = []
    for i, result in enumerate(results):
        red, green, blue = color_of(i)
        kind = '' if result.found else ' class="absent"'
        rows.append(
            f'<tr{kind}><td><span class="swatch" style="background: '
            f'rgb({red}, {green}, {blue})"></span> {i + 1}</td>'
            f'<td>{html.escape(result.sentence)}</td><td>{_when(result)}</td>'
            f'<td>{result.confidence:.2f}</td></tr>')
    return ('<table class="tubes"><tr><th></th><th>sentence</th>'
            '<th>when</th><th>confidence</th></tr>' + ''.join(rows) +
            '</table>')


def _when(result: TubeResult) -> str:
    """Seconds, where they are known, above frames."""
    start, end = result.span
    lines = [f'frames {start} to {end - 1}']
    if result.span_seconds is not None:
        lines.insert(0, '{:.2f} s to {:.2f} s'.format(*result.span_seconds))
    if not result.found:
        lines[0] = f'best guess: {lines[0]}'
        lines.insert(0, 'not in this video')
    lines[1:] = [f'<span class="frames">{x}</span>' for x in lines[1:]]
    return '<br>'.join(lines)


def timelines(results: List[TubeResult]) -> str:
    """Every sentence's timeline; a click seeks in the video."""
    out = ['<p class="frames">Click or drag in a timeline to move in the '
           'video.</p>']
    out += [web_timeline(r, i, f'{i + 1}: ') for i, r in enumerate(results)]
    return ''.join(out)


def stage_text(stage: str, done: int, total: int) -> str:
    """A stage of the work as HTML."""
    words, share = stage, done / max(total, 1)
    if stage == 'grounding':
        words = f'grounding {done} of {total}'
    elif stage == 'drawing':
        words = f'drawing {share:.0%}'
    return (f'<div class="stage" role="status">{words} …<br><progress '
            f'value="{share:.3f}"></progress></div>')


class Page:
    """What the page does, apart from how it looks.

    Args:
        services (Mapping[str, :obj:`GroundingService`]): By the name of their
            model; the first one is the default.
        examples (list[list]): Path of a video and sentences of each.
    """

    def __init__(self, services: Mapping[str, GroundingService],
                 examples: Sequence[Example] = ()) -> None:
        self.services = dict(services)
        self.examples = [list(e) for e in examples]
        self.names = list(self.services)

    def about(self, model: str) -> str:
        """Which model answers, and what it knows."""
        text = self.services[model].inferencer.notice or model
        data = training_data(model)
        if data and text == model:
            text += f', trained on {data}'
        return f'**Model:** {html.escape(text)}'

    def answer(self, model: str, video: Optional[str], sentences: str,
               attention: bool = False) -> Answer:
        """Answer a request of another program.

        Raises:
            gr.Error: If it cannot be answered.
        """
        try:
            return self.services[model].ground(video, sentences, attention)
        except RequestError as e:
            raise gr.Error(html.escape(str(e)), duration=None,
                           print_exception=False) from e

    def stages(self, model: str, video: Optional[str], sentences: str,
               attention: bool) -> Iterator[object]:
        """Stages of the work (stage, done, total), then answer or error."""
        told: queue.Queue = queue.Queue()

        def work() -> None:
            try:
                told.put(self.services[model].ground(
                    video, sentences, attention, lambda *x: told.put(x)))
            except Exception as e:
                told.put(e)

        threading.Thread(target=work, daemon=True).start()
        while True:
            item = told.get()
            while isinstance(item, tuple) and not told.empty():
                item = told.get()  # the newest one is enough
            yield item
            if not isinstance(item, tuple):
                return

    def link(self, model: str, video: str, sentences: str) -> str:
        """A link that repeats a request, for videos that others have too."""
        names = [os.path.basename(path) for path, _ in self.examples]
        name = os.path.basename(video)
        if name not in names:
            return ''
        query = urlencode(dict(
            model=model, example=names.index(name), sentences=sentences))
        return f'<a class="frames" href="?{query}">link to this request</a>'

    def from_link(self, request: 'gr.Request') -> Tuple[str, object, str]:
        """Model, video and sentences that the page's address asks for."""
        query = parse_qs(str(request.query_params))
        if 'sentences' not in query:
            return gr.skip(), gr.skip(), gr.skip()  # what is there stays
        model = query.get('model', [''])[0]
        number = query.get('example', [''])[0]
        video = gr.skip()
        if number.isdecimal() and int(number) < len(self.examples):
            video = self.examples[int(number)][0]
        return (model if model in self.services else self.names[0], video,
                query['sentences'][0])


def build_app(services: Mapping[str, GroundingService],
              examples: Sequence[Example] = ()) -> 'gr.Blocks':
    """The page over one or more models; see :class:`Page`."""
    page = Page(services, examples)
    with gr.Blocks(title='costa_mm', analytics_enabled=False,
                   delete_cache=(3600, 24 * 3600)) as app:
        _head(page)
        with gr.Row():
            with gr.Column():
                fields, button = _form(page)
            with gr.Column():
                status, found, parts = _answer_column()
        with gr.Column(visible=False) as heat:
            gr.Markdown('### Where the model looks')
            maps = gr.Gallery(show_label=False, elem_id='maps', columns=1,
                              object_fit='contain', height='auto',
                              interactive=False,
                              buttons=['download', 'fullscreen'])
        _connect(app, page, fields, button, status, found, heat,
                 [*parts, maps])
    return app.queue(max_size=64)


def _head(page: Page) -> None:
    limits = page.services[page.names[0]].limits
    gr.Markdown(f'# {TITLE}\n{INTRO}  \nAt most {limits.megabytes:g} MB and '
                f'{limits.seconds:g} s of video, {limits.sentences} '
                'sentences.')


def _form(page: Page) -> Tuple[list, 'gr.Button']:
    """What is asked; returns model, video, sentences, attention, button."""
    model = gr.Dropdown(page.names, value=page.names[0], label='Model',
                        visible=len(page.names) > 1, elem_id='model')
    about = gr.Markdown(page.about(page.names[0]), elem_id='about')
    model.change(page.about, model, about, api_visibility='private')
    video = gr.Video(label='Video', sources=['upload', 'webcam'],
                     elem_id='input-video')
    sentences = gr.Textbox(
        label='Sentences, one per line', lines=3, elem_id='sentences',
        placeholder='the man in red opens the door')
    attention = gr.Checkbox(label='also show where the model looks',
                            elem_id='attention')
    button = gr.Button('Find', variant='primary', elem_id='find')
    if page.examples:
        gr.Examples(page.examples, [video, sentences], label='Examples')
    return [model, video, sentences, attention], button


def _answer_column() -> Tuple['gr.HTML', 'gr.Column', list]:
    """What is answered; returns status, column, and the parts in it."""
    status = gr.HTML(elem_id='status')
    with gr.Column(visible=False) as found:
        table = gr.HTML(elem_id='table')
        tubes = gr.Video(show_label=False, interactive=False, autoplay=True,
                         loop=True, buttons=[], elem_id='output-video')
        lines = gr.HTML(elem_id='timelines')
        with gr.Row():
            save_json = gr.DownloadButton('Download JSON',
                                          elem_id='save-json')
            save_video = gr.DownloadButton('Download video',
                                           elem_id='save-video')
        link = gr.HTML(elem_id='link')
    return status, found, [table, tubes, lines, save_json, save_video, link]


def _connect(app: 'gr.Blocks', page: Page, fields: list, button: 'gr.Button',
             status: 'gr.HTML', found: 'gr.Column', heat: 'gr.Column',
             parts: list) -> None:
    """What happens when, and the endpoint for other programs."""

    def show(model, video, sentences, attention) -> Iterator[Dict]:
        for item in page.stages(model, video, sentences, attention):
            if isinstance(item, tuple):
                yield {status: stage_text(*item)}
            elif isinstance(item, Exception):
                if not isinstance(item, RequestError):
                    raise item
                yield {status: '<div class="wrong" role="alert">'
                       f'{html.escape(str(item))}</div>'}
            else:
                shown = (results_table(item.results), item.video,
                         timelines(item.results), item.json, item.video,
                         page.link(model, video, sentences), item.attention)
                yield {status: '', found: gr.Column(visible=True),
                       heat: gr.Column(visible=bool(item.attention)),
                       **dict(zip(parts, shown))}

    def hide() -> Dict:
        return {status: stage_text('waiting', 0, 1),
                found: gr.Column(visible=False),
                heat: gr.Column(visible=False)}

    def endpoint(model, video, sentences, attention=False) -> Tuple:
        answer = page.answer(model, video, sentences, attention)
        return (answer.video, results_table(answer.results), answer.json)

    aside = dict(api_visibility='private', show_progress='hidden')
    one = dict(concurrency_limit=1, concurrency_id='model')
    button.click(hide, None, [status, found, heat], queue=False, js=TO_ANSWER,
                 **aside).then(show, fields, [status, found, heat, *parts],
                               **aside, **one).then(
                                   None, None, None, js=TO_ANSWER)
    gr.Button(visible=False).click(
        endpoint, fields, [parts[1], parts[0], parts[3]], api_name='ground',
        **one)
    app.load(page.from_link, None, fields[:3], **aside).then(
        None, None, None, js=RUN_LINK)


def launch(app: 'gr.Blocks', limits: Limits, host: str, port: int,
           **kwargs) -> str:
    """Serve the page; returns its address where it does not block.

    Args:
        app (gr.Blocks): From :func:`build_app`.
        limits (:obj:`Limits`): Hold for uploads.
        host (str): Address to listen on.
        port (int): Port to listen on.
        **kwargs: Of Gradio's ``launch``.
    """
    theme = gr.themes.Default(font=['system-ui', 'sans-serif'],
                              font_mono=['ui-monospace', 'monospace'])
    _, address, _ = app.launch(
        server_name=host, server_port=port, share=False, ssr_mode=False,
        max_file_size=int(limits.megabytes * 1e6), theme=theme,
        css=CSS, head=f'<script>{SCRIPT}</script>', footer_links=['api'],
        **kwargs)
    return address
