# Copyright (c) costa_mm authors. All rights reserved.
"""A missing, broken or foreign file is one line and a status."""
import os
import re
import sys
from pathlib import Path

import pytest

from costa_mm.cli import main as costa_mm_main
from costa_mm.cli.running import TRACEBACK, run_main

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'synthetic' / 'costa_tiny_synthetic.py')
DATA, MODEL = 'tools/dataset_converters/', 'tools/model_converters/'
ANALYSIS, MISC = 'tools/analysis_tools/', 'tools/misc/'
# FILE becomes a path that is not there, or a file of another kind
JSON_TOOLS = [
    (DATA + 'hcstvg.py', 'FILE', '.', '--out', 'o.json'),
    (DATA + 'vidstg.py', 'FILE', '.', '.', '--out', 'o.json'),
    (DATA + 'convert_dataset.py', 'HCSTVGDataset', 'FILE', '.', '--out',
     'o.json'),
    (DATA + 'check_annotations.py', 'FILE'),
    (DATA + 'shuffle_sentences.py', 'FILE', 'o.json'),
    (DATA + 'split_hcstvg.py', 'FILE'),
    (DATA + 'export_tubes.py', 'FILE', '--format', 'mot', '--out', 'o'),
    (ANALYSIS + 'eval_tubes.py', 'FILE', 'FILE'),
    (ANALYSIS + 'compare_tubes.py', 'FILE', 'FILE', 'FILE'),
    (ANALYSIS + 'analyze_logs.py', 'plot_curve', 'FILE'),
    (MISC + 'html_report.py', 'FILE'),
    (MISC + 'cut_events.py', 'FILE', '--out-dir', 'o'),
    (MISC + 'synthetic_detections.py', 'FILE'),
]
CHECKPOINT_TOOLS = [
    (MODEL + 'mdetr_to_costa_mm.py', 'FILE', 'o.pth'),
    (MODEL + 'stcat_to_costa_mm.py', 'FILE', 'o.pth'),
    (MODEL + 'tubedetr_to_costa_mm.py', 'FILE', 'o.pth'),
    (MODEL + 'publish_model.py', 'FILE', 'o.pth'),
    (MODEL + 'make_costa_init.py', CONFIG, 'o.pth', '--mdetr', 'FILE'),
    (ANALYSIS + 'probe_decoder.py', CONFIG, 'FILE'),
]
CONFIG_TOOLS = [
    (MISC + 'print_config.py', 'FILE'),
    (MISC + 'prepare.py', 'FILE', '--check'),
    (ANALYSIS + 'get_flops.py', 'FILE'),
    (ANALYSIS + 'browse_dataset.py', 'FILE'),
    (ANALYSIS + 'dataset_statistics.py', 'FILE'),
    (ANALYSIS + 'benchmark_loading.py', 'FILE'),
]
CONTENT = {'': None, '.json': b'{"a": ', '.pth': b'junk', '.py': b'x = '}
CASES = [(tool, kind, content)
         for tools, kind in ((JSON_TOOLS, '.json'), (CHECKPOINT_TOOLS, '.pth'),
                             (CONFIG_TOOLS, '.py'))
         for tool in tools for content in ('none', 'broken', 'foreign')
         if kind == '.json' or content != 'foreign']


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Run a tool in this process as its ``__main__`` block does."""
    monkeypatch.chdir(tmp_path)

    def run(script, *args):
        path = ROOT / script
        argv = [script, *args]
        monkeypatch.setattr(sys, 'argv', argv)
        monkeypatch.syspath_prepend(str(path.parent))
        scope = dict(__name__='tool', __file__=str(path))
        exec(compile(path.read_text(), str(path), 'exec'), scope)
        capfd.readouterr()
        try:
            status = run_main(scope['main'])
        except SystemExit as e:
            status = e.code
            if isinstance(status, str):
                print(status, file=sys.stderr)
                status = 1
        return status, capfd.readouterr()

    return run


@pytest.mark.parametrize('tool, kind, content', CASES, ids=lambda v: (
    Path(v[0]).stem if isinstance(v, tuple) else str(v)))
def test_one_line_and_a_status(call, tmp_path, tool, kind, content):
    path = tmp_path / f'given{kind}'
    if content != 'none':
        path.write_bytes(CONTENT[kind] if content == 'broken' else b'{"a": 1}')
    status, said = call(*(str(path) if a == 'FILE' else a for a in tool))
    assert status in (1, 2)
    text = said.err + said.out
    assert text.strip() and 'Traceback' not in text and '\x1b' not in text
    last = [line for line in text.splitlines() if line.strip()]
    assert len(last) <= 6, text
    if content != 'foreign':  # some do not see that it is foreign, but empty
        assert 'given' in text, text
    assert not re.search(r'error: \W*\d*$', text.strip()), text


def test_every_tool_ends_so():
    """Training and testing keep their tracebacks, as MMEngine's do."""
    for path in (ROOT / 'tools').rglob('*.py'):
        text = path.read_text()
        if "if __name__ == '__main__':" not in text:
            continue
        assert 'sys.exit(run_main(main))' in text or \
            path.name in ('train.py', 'test.py'), path


def test_what_run_main_does(monkeypatch, capsys):
    def fail(error):
        def main():
            raise error
        return main

    assert run_main(lambda: None) == 0 and run_main(lambda: 3) == 3
    assert run_main(fail(KeyError('no such key')), 'tool') == 2
    assert capsys.readouterr().err == 'tool: error: no such key\n'
    assert run_main(fail(OSError()), 'tool') == 2
    assert capsys.readouterr().err == 'tool: error: OSError\n'
    assert run_main(fail(KeyboardInterrupt()), 'tool') == 130
    with pytest.raises(TypeError):  # a mistake of ours
        run_main(fail(TypeError()))
    monkeypatch.setenv(TRACEBACK, '1')
    with pytest.raises(ValueError):
        run_main(fail(ValueError()))


def test_the_command_too(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    for words in (['convert', 'HCSTVGDataset', 'no.json', '.', '--out', 'o'],
                  ['clips', 'no.json', '--out-dir', 'o'],
                  ['report', 'nofolder']):
        try:
            status = costa_mm_main(words)
        except SystemExit as e:
            status = e.code
        assert status, words
    assert 'Traceback' not in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
