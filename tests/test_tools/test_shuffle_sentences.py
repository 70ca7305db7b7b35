# Copyright (c) costa_mm authors. All rights reserved.
import json
import runpy
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters'
TOOL = TOOL / 'shuffle_sentences.py'


@pytest.fixture
def run(monkeypatch):

    def _run(ann, out):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), str(ann), str(out)])
        runpy.run_path(str(TOOL))['main']()

    return _run


def test_every_entry_gets_another_sentence(tmp_path, run):
    # two entries share a sentence and must not get each other's
    texts = ['a', 'a', 'b', 'c', 'd', 'e']
    ann = {f'{i}.mp4': dict(caption=t, img_num=i) for i, t in enumerate(texts)}
    (tmp_path / 'ann.json').write_text(json.dumps(ann))
    run(tmp_path / 'ann.json', tmp_path / 'out.json')
    out = json.loads((tmp_path / 'out.json').read_text())
    assert sorted(e['caption'] for e in out.values()) == texts
    for name, entry in out.items():
        assert entry['caption'] != ann[name]['caption']
        assert entry['img_num'] == ann[name]['img_num']


def test_one_sentence_for_all_cannot_be_exchanged(tmp_path, run):
    ann = {f'{i}.mp4': dict(English='same') for i in range(3)}
    (tmp_path / 'ann.json').write_text(json.dumps(ann))
    with pytest.raises(ValueError, match='too much alike'):
        run(tmp_path / 'ann.json', tmp_path / 'out.json')
    assert not (tmp_path / 'out.json').exists()
