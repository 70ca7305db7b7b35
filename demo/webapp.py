# Copyright (c) costa_mm authors. All rights reserved.
"""Web page: a video and sentences go in, tubes and timelines come out.

    python demo/webapp.py [--model NAME_OR_CONFIG ...] [--weights FILE]

It listens on this machine only (http://127.0.0.1:7860) and asks nothing of
any other: fonts and scripts are its own, no statistics are sent.
"""
import argparse
import os
import socket
import sys
from typing import Dict, List, Optional, Sequence, Tuple

from web_page import Example, build_app, gr, launch

from costa_mm.apis import STVGInferencer
from costa_mm.apis.service import GroundingService, Limits
from costa_mm.datasets.annotation_files import VIDEO_SUFFIXES
from costa_mm.synthetic import Settings, draw_sample, write_sample

# Samples of the synthetic benchmark, and the other one whose sentence is
# asked too: the shipped model answers them rightly (there is a test).
EXAMPLES = ((4, 6), (18, 20), (12, 13))


def synthetic_examples(folder: str,
                       samples: Sequence[Tuple[int, int]] = EXAMPLES
                       ) -> List[Example]:
    """Renders videos of the synthetic benchmark that no training has seen.

    Args:
        folder (str): Where to put them.
        samples (Sequence[tuple[int, int]]): Their numbers in the test split,
            each with that of another one.

    Returns:
        list[list]: Path and sentences of each; the second sentence is the
        other video's.
    """
    os.makedirs(folder, exist_ok=True)
    settings = Settings(seed=2024)
    examples = []
    for number, other in samples:
        sample = draw_sample(settings, 'test', number)
        path = os.path.join(folder, sample.name)
        write_sample(path, sample)
        absent = draw_sample(settings, 'test', other).sentence
        examples.append([path, f'{sample.sentence}\n{absent}'])
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
    parser.add_argument('--model', nargs='+', metavar='MODEL',
                        help='config file or name of a model; several can be '
                        'chosen from (default: the config that the weights '
                        'carry, or costa_tiny_synthetic)')
    parser.add_argument('--weights', '--checkpoint', help='weights of the '
                        'model, where there is one')
    parser.add_argument('--device', help="'cpu', 'cuda:0', ... (default: "
                        'what is there)')
    parser.add_argument('--host', default='127.0.0.1', help='address to '
                        'listen on; 0.0.0.0 shows the page to the network')
    parser.add_argument('--port', type=int, default=7860)
    parser.add_argument('--examples', help='folder of example videos, each '
                        'with its sentences in NAME.txt (default: some are '
                        'rendered)')
    parser.add_argument('--pred-score-thr', '--score-thr', type=float,
                        help='confidence below which a sentence is "not in '
                        'this video"')
    parser.add_argument('--max-mb', type=float, default=limits.megabytes)
    parser.add_argument('--max-seconds', type=float, default=limits.seconds)
    parser.add_argument('--max-sentences', type=int,
                        default=limits.sentences)
    return parser.parse_args(argv)


def load_services(args: argparse.Namespace,
                  limits: Limits) -> Dict[str, GroundingService]:
    """A service per model, by the model's name.

    Raises:
        ValueError: If there are weights and several models.
    """
    models = args.model or (
        [None] if args.weights else ['costa_tiny_synthetic'])
    if args.weights and len(models) > 1:
        raise ValueError('--weights goes with one --model; give names of '
                         'models that have weights')
    services = {}
    for model in models:
        name = os.path.splitext(os.path.basename(model or args.weights))[0]
        services[name] = GroundingService(
            STVGInferencer(model, args.weights, args.device,
                           show_progress=False),
            limits=limits, score_thr=args.pred_score_thr)
    return services


def main() -> int:
    """Serve the page until interrupted."""
    args = parse_args()
    if gr is None:
        print('the web page needs Gradio: '
              'pip install "costa_mm[webapp]"', file=sys.stderr)
        return 1
    limits = Limits(megabytes=args.max_mb, seconds=args.max_seconds,
                    sentences=args.max_sentences)
    try:
        check_port(args.host, args.port)
        services = load_services(args, limits)
        folder = next(iter(services.values())).folder
        examples = folder_examples(args.examples) if args.examples else \
            synthetic_examples(os.path.join(folder, 'examples'))
    except (OSError, TypeError, ValueError) as e:
        print(f'{type(e).__name__}: {e}', file=sys.stderr)
        return 1
    app = build_app(services, examples)
    allowed = [args.examples] if args.examples else []
    address = launch(app, limits, args.host, args.port, quiet=True,
                     allowed_paths=allowed, prevent_thread_lock=True)
    print(f'the page is at {address} (Ctrl+C ends it)', flush=True)
    app.block_thread()
    return 0


if __name__ == '__main__':
    sys.exit(main())
