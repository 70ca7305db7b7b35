# Copyright (c) costa_mm authors. All rights reserved.
"""What the pages on datasets show is true."""
import json
import re
from pathlib import Path

import pytest
from test_datasets.conftest import write_video

from costa_mm.datasets import STVGDataset
from costa_mm.datasets.stvg_format import SENTENCE_KEYS, VIDEO_KEYS
from costa_mm.datasets.validation import check_annotations
from costa_mm.registry import TRANSFORMS

DOCS = Path(__file__).resolve().parents[2] / 'docs' / 'en' / 'datasets'


def page(name):
    return (DOCS / f'{name}.md').read_text()


def blocks(name, language):
    return re.findall(rf'```{language}\n(.*?)```', page(name), re.S)


def test_the_example_file_works(tmp_path):
    content = json.loads(blocks('own_data', 'json')[0])
    (tmp_path / 'park').mkdir()
    write_video(tmp_path / 'park' / 'dog.mp4', 120, size=(360, 640))
    path = tmp_path / 'ann.json'
    path.write_text(json.dumps(content))
    assert len(STVGDataset(str(path), data_root=str(tmp_path))) == 2
    report = check_annotations(str(path), str(tmp_path))
    assert not report.num_errors and report.num_sentences == 3


def test_every_key_is_documented():
    text = page('own_data')
    for key in VIDEO_KEYS + SENTENCE_KEYS:
        assert f'`{key}`' in text or f'"{key}"' in text


def test_named_transforms_exist():
    names = re.findall(r'^\| `(\w+)` \|', page('loading'), re.M)
    assert len(names) > 8
    for name in names:
        assert TRANSFORMS.get(f'costa_mm.{name}') is not None, name


@pytest.mark.parametrize('name', ['index', 'hcstvg', 'vidstg', 'own_data',
                                  'loading'])
def test_links_and_files(name):
    text = page(name)
    for link in re.findall(r'\]\((?!http)([^)#]+)', text):
        assert (DOCS / link).exists(), link
    for file in re.findall(r'(?<!/)\b(?:tools|tests|docs)/[\w/]+\.\w+', text):
        assert (DOCS.parents[2] / file).exists(), file
