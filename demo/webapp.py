# Copyright (c) costa_mm authors. All rights reserved.
"""Web page: a video and sentences go in, tubes and timelines come out.

    python demo/webapp.py [--model NAME_OR_CONFIG] [--checkpoint FILE]

It listens on this machine only (http://127.0.0.1:7860) and asks nothing of
any other: fonts and scripts are its own, no statistics are sent.
"""
import argparse
import html
import os
import socket
import sys
from typing import List, Optional, Sequence, Tuple

from costa_mm.apis import STVGInferencer, TubeResult
from costa_mm.apis.outputs import color_of
from costa_mm.apis.service import GroundingService, Limits, RequestError
from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES
from costa_mm.synthetic import Settings, draw_sample, write_sample

os.environ.setdefault('GRADIO_ANALYTICS_ENABLED', 'False')
try:
    import gradio as gr
except ImportError:
    gr = None

TITLE = 'When and where does it happen?'
INTRO = ('Choose a video, write what to look for, one sentence per line. '
         'Every sentence gets a tube: when the event happens and where its '
         'object is, frame by frame.')
CSS = """
#table .tubes {border-collapse: collapse; width: 100%}
#table .tubes, #table .tubes * {border: 0}
#table .tubes td, #table .tubes th {padding: 6px 8px; text-align: left;
  border-bottom: 1px solid var(--border-color-primary)}
#table .tubes td:nth-child(2) {overflow-wrap: anywhere}
#table .tubes td:first-child {white-space: nowrap}
.swatch {display: inline-block; width: 1em; height: 1em; border-radius: 3px;
  vertical-align: -0.1em; margin-right: 0.3em}
.frames {opacity: 0.75; font-size: 0.9em}
.absent {opacity: 0.6}
#timelines .grid-wrap, #maps .grid-wrap {max-height: none; min-height: 0}
#timelines .thumbnail-item, #maps .thumbnail-item {aspect-ratio: auto;
  height: auto}
.gallery-container:has(.preview) {min-height: 620px}
/* Trimming would fetch a program from another machine. */
#input-video button[aria-label^="Trim"] {display: none}
"""
VIDEO_HEIGHT = 380  # pixels
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


def synthetic_examples(folder: str, num: int = 3) -> List[Example]:
    """Renders videos of the synthetic benchmark that no training has seen.

    Args:
        folder (str): Where to put them.
        num (int): How many.

    Returns:
        list[list]: Path and sentences of each; the second sentence is
        another video's.
    """
    os.makedirs(folder, exist_ok=True)
    settings = Settings(seed=2024)
    samples = [draw_sample(settings, 'test', i) for i in range(num)]
    examples = []
    for i, sample in enumerate(samples):
        path = os.path.join(folder, sample.name)
        write_sample(path, sample)
        other = samples[(i + 1) % num].sentence
        examples.append([path, f'{sample.sentence}\n{other}'])
    return examples


def folder_examples(folder: str) -> List[Example]:
    """Videos of a folder; ``NAME.txt`` beside ``NAME.mp4`` has sentences.

    Raises:
        FileNotFoundError: If there is no such folder, or no video in it.
    """
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'there is no folder {folder}')
    examples = []
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in VIDEO_SUFFIXES:
            text = os.path.join(folder, f'{stem}.txt')
            sentences = ''
            if os.path.isfile(text):
                with open(text, encoding='utf-8') as f:
                    sentences = f.read().strip()
            examples.append([os.path.join(folder, name), sentences])
    if not examples:
        raise FileNotFoundError(f'the folder {folder} holds no video')
    return examples


def build_app(service: GroundingService,
              examples: Sequence[Example] = ()) -> 'gr.Blocks':
    """The page over a service.

    Args:
        service (:obj:`GroundingService`): Answers the requests.
        examples (list[list]): Path of a video and sentences of each.
    """

    def ground(video: str, sentences: str, attention: bool = False) -> Tuple:
        try:
            answer = service.ground(video, sentences, attention)
        except RequestError as e:
            raise gr.Error(html.escape(str(e)), duration=None,
                           print_exception=False) from e
        return (answer.video, results_table(answer.results),
                answer.timelines, answer.attention, answer.json, answer.video)

    with gr.Blocks(title='costa_mm', analytics_enabled=False,
                   delete_cache=(3600, 24 * 3600)) as app:
        limits = service.limits
        gr.Markdown(f'# {TITLE}\n{INTRO}  \nAt most {limits.megabytes:g} MB '
                    f'and {limits.seconds:g} s of video, {limits.sentences} '
                    'sentences.')
        notice = service.inferencer.notice
        if notice:
            gr.Markdown(f'**Of this model:** {html.escape(notice)}')
        with gr.Row():
            with gr.Column():
                video = gr.Video(label='Video', sources=['upload'],
                                 height=VIDEO_HEIGHT, elem_id='input-video')
                sentences = gr.Textbox(
                    label='Sentences, one per line', lines=3,
                    elem_id='sentences',
                    placeholder='the man in red opens the door')
                attention = gr.Checkbox(
                    label='also show where the model looks',
                    elem_id='attention')
                button = gr.Button('Find', variant='primary', elem_id='find')
                if examples:
                    gr.Examples([list(e) for e in examples],
                                [video, sentences], label='Examples')
            with gr.Column():
                tubes = gr.Video(label='Tubes', interactive=False,
                                 autoplay=True, loop=True, buttons=[],
                                 height=VIDEO_HEIGHT, elem_id='output-video')
                with gr.Column(visible=False) as found:
                    table = gr.HTML(elem_id='table')
                    with gr.Row():
                        save_json = gr.DownloadButton('Download JSON',
                                                      elem_id='save-json')
                        save_video = gr.DownloadButton('Download video',
                                                       elem_id='save-video')
        with gr.Column(visible=False) as curves:
            timelines = _gallery('Start, end and attendance over time',
                                 'timelines', columns=2)
        with gr.Column(visible=False) as heat:
            maps = _gallery('Where the model looks', 'maps', columns=1)

        def hide() -> Tuple:
            return (None, *[gr.Column(visible=False)] * 3)

        def show(pictures: Optional[list]) -> Tuple:
            return (*[gr.Column(visible=True)] * 2,
                    gr.Column(visible=bool(pictures)))

        aside = dict(api_visibility='private', show_progress='hidden')
        button.click(
            hide, None, [tubes, found, curves, heat], queue=False, **aside
        ).then(
            ground, [video, sentences, attention],
            [tubes, table, timelines, maps, save_json, save_video],
            api_name='ground', concurrency_limit=1, show_progress_on=tubes
        ).success(show, maps, [found, curves, heat], **aside)
    return app.queue(max_size=64)


def _gallery(title: str, name: str, columns: int) -> 'gr.Gallery':
    """Pictures under a heading, as high as they are."""
    gr.Markdown(f'### {title}')
    return gr.Gallery(show_label=False, elem_id=name, columns=columns,
                      object_fit='contain', height='auto', interactive=False,
                      buttons=['download', 'fullscreen'])


def launch(app: 'gr.Blocks', service: GroundingService, host: str, port: int,
           **kwargs) -> str:
    """Serve the page; returns its address where it does not block.

    Args:
        app (gr.Blocks): From :func:`build_app`.
        service (:obj:`GroundingService`): Whose limits hold for uploads.
        host (str): Address to listen on.
        port (int): Port to listen on.
        **kwargs: Of Gradio's ``launch``.
    """
    theme = gr.themes.Default(font=['system-ui', 'sans-serif'],
                              font_mono=['ui-monospace', 'monospace'])
    _, address, _ = app.launch(
        server_name=host, server_port=port, share=False, ssr_mode=False,
        max_file_size=int(service.limits.megabytes * 1e6), theme=theme,
        css=CSS, footer_links=['api'], **kwargs)
    return address


def check_port(host: str, port: int) -> None:
    """Say at once, not after loading, that nothing can listen there.

    Raises:
        ValueError: If the port is in use, or the address is none of this
            machine's.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(*info[:2]) as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(info[4])
    except (OSError, OverflowError, UnicodeError) as e:
        raise ValueError(
            f'cannot listen on {host}, port {port}: is it in use? choose '
            f'another with --port ({e})') from e


def parse_args(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
    """Command line."""
    limits = Limits()
    parser = argparse.ArgumentParser(
        description='Web page that grounds sentences in videos')
    parser.add_argument('--model', help='config file or name of a model '
                        '(default: the config that the checkpoint carries, '
                        'or costa_tiny_synthetic)')
    parser.add_argument('--checkpoint', help='weights of the model')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument('--host', default='127.0.0.1', help='address to '
                        'listen on; 0.0.0.0 shows the page to the network')
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument('--examples', help='folder of example videos, each '
                        'with its sentences in NAME.txt (default: some are '
                        'rendered)')
    parser.add_argument('--score-thr', type=float, help='confidence below '
                        'which a sentence is "not in this video"')
    parser.add_argument('--max-mb', type=float, default=limits.megabytes)
    parser.add_argument('--max-seconds', type=float, default=limits.seconds)
    parser.add_argument('--max-sentences', type=int,
                        default=limits.sentences)
    return parser.parse_args(argv)


def main() -> int:
    """Serve the page until interrupted."""
    args = parse_args()
    if gr is None:
        print('the web page needs Gradio: '
              'pip install -r requirements/webapp.txt', file=sys.stderr)
        return 1
    model = args.model
    if model is None and args.checkpoint is None:
        model = 'costa_tiny_synthetic'
    limits = Limits(megabytes=args.max_mb, seconds=args.max_seconds,
                    sentences=args.max_sentences)
    try:
        check_port(args.host, args.port)
        inferencer = STVGInferencer(model, args.checkpoint, args.device,
                                    show_progress=False)
        service = GroundingService(inferencer, limits=limits,
                                   score_thr=args.score_thr)
        examples = folder_examples(args.examples) if args.examples else \
            synthetic_examples(os.path.join(service.folder, 'examples'))
    except (OSError, TypeError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    app = build_app(service, examples)
    allowed = [args.examples] if args.examples else []
    address = launch(app, service, args.host, args.port, quiet=True,
                     allowed_paths=allowed, prevent_thread_lock=True)
    print(f'the page is at {address} (Ctrl+C ends it)', flush=True)
    app.block_thread()
    return 0


if __name__ == '__main__':
    sys.exit(main())
