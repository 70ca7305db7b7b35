# Copyright (c) costa_mm authors. All rights reserved.
import json
import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters'
TOOL = TOOL / 'shuffle_sentences.py'


def run(ann, out):
    return subprocess.run([sys.executable, str(TOOL), str(ann), str(out)],
                          capture_output=True,
                          text=True)


def test_every_entry_gets_another_sentence(tmp_path):
    # two entries share a sentence and must not get each other's
    texts = ['a', 'a', 'b', 'c', 'd', 'e']
    ann = {f'{i}.mp4': dict(caption=t, img_num=i) for i, t in enumerate(texts)}
    (tmp_path / 'ann.json').write_text(json.dumps(ann))
    done = run(tmp_path / 'ann.json', tmp_path / 'out.json')
    assert done.returncode == 0, done.stderr
    out = json.loads((tmp_path / 'out.json').read_text())
    assert sorted(e['caption'] for e in out.values()) == texts
    for name, entry in out.items():
        assert entry['caption'] != ann[name]['caption']
        assert entry['img_num'] == ann[name]['img_num']


def test_one_sentence_for_all_cannot_be_exchanged(tmp_path):
    ann = {f'{i}.mp4': dict(English='same') for i in range(3)}
    (tmp_path / 'ann.json').write_text(json.dumps(ann))
    done = run(tmp_path / 'ann.json', tmp_path / 'out.json')
    assert done.returncode != 0 and 'too much alike' in done.stderr
    assert not (tmp_path / 'out.json').exists()
