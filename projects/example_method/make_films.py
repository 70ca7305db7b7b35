# Copyright (c) costa_mm authors. All rights reserved.
"""Turn synthetic videos into films with annotations of FilmDataset.

    python tools/dataset_converters/make_synthetic_stvg.py \\
        --out data/films --num-train 64 --num-val 8 --num-test 8
    python projects/example_method/make_films.py data/films
"""
import argparse
import json
from pathlib import Path


def main() -> None:
    """Write films_SPLIT.json beside SPLIT.json."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('folder', type=Path, help='of the synthetic videos')
    folder = parser.parse_args().folder
    for split in ('train', 'val', 'test'):
        entries = json.loads((folder / f'{split}.json').read_text())
        films = {}
        for name, entry in entries.items():
            # HC-STVG counts from 1 and has (x, y, width, height)
            films[name] = dict(
                text=entry['caption'],
                first=entry['st_frame'] - 1,
                boxes=[[x, y, x + w, y + h] for x, y, w, h in entry['bbox']])
        (folder / f'films_{split}.json').write_text(json.dumps(films))
        print(f'{folder}/films_{split}.json: {len(films)} films')


if __name__ == '__main__':
    main()
