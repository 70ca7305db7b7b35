# Copyright (c) costa_mm authors. All rights reserved.
"""Give every video of an HC-STVG file another video's sentence.

A grounder that listens must fall far below its score on the true sentences;
one that only looks for whatever moves does not.
"""
import argparse
import random
import sys

from costa_mm.cli.running import run_main
from costa_mm.datasets.annotation_files import read_json
from costa_mm.utils.files import write_json

KEYS = ('caption', 'English')


def shuffle_sentences(annotations: dict, seed: int = 0) -> dict:
    """Exchange sentences so that no entry keeps a sentence equal to its own.

    Args:
        annotations (dict): HC-STVG annotations, version 1 or 2.
        seed (int): Seed of the order.

    Returns:
        dict: The same with other sentences.

    Raises:
        ValueError: If an entry has no sentence, or the sentences are too
            much alike to be exchanged.
    """
    if not isinstance(annotations, dict) or not all(
            isinstance(entry, dict) for entry in annotations.values()):
        raise ValueError('an annotation file of HC-STVG is an object of '
                         'objects, by the names of the videos')
    names = list(annotations)
    keys = {}
    for name in names:
        found = [k for k in KEYS if k in annotations[name]]
        if not found:
            raise ValueError(f'entry {name!r} has no key of {KEYS}')
        keys[name] = found[0]
    sentences = [annotations[n][keys[n]] for n in names]
    order = list(range(len(names)))
    random.Random(seed).shuffle(order)
    for i in range(len(names)):
        if sentences[order[i]] != sentences[i]:
            continue
        for j in range(len(names)):
            if (sentences[order[j]] != sentences[i]
                    and sentences[order[i]] != sentences[j]):
                order[i], order[j] = order[j], order[i]
                break
        else:
            raise ValueError('the sentences are too much alike to exchange')
    return {
        name: {
            **annotations[name], keys[name]: sentences[order[i]]
        }
        for i, name in enumerate(names)
    }


def main() -> None:
    """Read, shuffle, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('ann_file', help='HC-STVG annotation file')
    parser.add_argument('out', help='annotation file to write')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    annotations = read_json(args.ann_file)
    write_json(shuffle_sentences(annotations, args.seed), args.out)
    print(f'{args.out}: {len(annotations)} sentences exchanged')


if __name__ == '__main__':
    sys.exit(run_main(main))
