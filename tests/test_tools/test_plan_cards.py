# Copyright (c) costa_mm authors. All rights reserved.
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = str(ROOT / 'configs' / 'costa_hcstvg.py')
TINY = str(ROOT / 'configs' / 'synthetic' / 'costa_tiny_synthetic.py')


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'tools' / 'analysis_tools'))
        yield importlib.import_module('plan_cards')


@pytest.fixture(scope='module')
def cards(tool):
    return importlib.import_module('benchmarking.cards')


def counted(gib, tera=36.):
    return dict(live_bytes=gib * 2**30, flops=tera * 1e12)


def test_what_fits_leaves_room(cards):
    # 1.1 x 20 + 1 GiB
    assert cards.fits(20 * 2**30, 23 * 2**30)
    assert not cards.fits(20 * 2**30, 22.9 * 2**30)


def test_a_card_gets_the_first_setting_that_fits(tool, cards):
    found = {'32 bits': counted(10), '16 bits': counted(30),
             'less': counted(12, 50.), 'least': counted(6)}
    rows = {row[0]: row[1:] for row in tool.plan(found, 1000, .5, .2)}
    assert rows['V100 16 GB'][0] == 'less'
    assert rows['A100 40 GB'][:2] == ('16 bits', '30.00')
    # 1000 x 36 TFLOP at half of 312 TFLOP/s: 231 s, 0.231 s each; a sample
    # is there every 0.2 s
    assert rows['A100 40 GB'][2:] == ('0.06', '0.01', '2')
    tight = {'16 bits': counted(100)}
    assert tool.plan(tight, 1, .5, .2)[0][1:] == ('none of them', )


def test_settings_of_a_config(tool):
    found = tool.settings(CONFIG)
    assert [(s.mode, s.frames, s.size) for s in found.values()] == [
        ('fp32', 65, (405, 720)), ('bf16', 65, (405, 720)),
        ('bf16+cp', 65, (405, 720)), ('bf16+cp', 32, (405, 720))]
    assert len(tool.settings(TINY)) == 3  # it has 16 frames
    assert tool.videos_of(CONFIG) == 4498
    with pytest.raises(ValueError, match='--videos'):
        tool.videos_of(TINY)


def test_tables(tool, tmp_path, capsys, monkeypatch):
    path, seen = tmp_path / 'counts.json', []

    def count(spec):
        seen.append(spec.mode)
        return dict(counted(30 - 10 * len(seen)), state_bytes=0)

    monkeypatch.setattr(tool, 'count_training', count)
    for _ in range(2):  # the second time from the file
        tool.main([TINY, '--videos', '4000', '--json', str(path)])
    assert seen == ['fp32', 'bf16', 'bf16+cp']
    out = capsys.readouterr().out
    assert out.count('| H100 80 GB') == 2
    assert out.count('16 bits, with_cp') == 2  # all cards have more room


def test_what_cannot_be_counted_is_said(tool, capsys, monkeypatch):
    monkeypatch.setattr(tool, 'count_training', lambda spec: int('a'))
    with pytest.raises(ValueError):
        tool.main([TINY, '--videos', '1'])

    def reads_numbers(spec):
        raise RuntimeError('aten.item')

    monkeypatch.setattr(tool, 'count_training', reads_numbers)
    tool.main([TINY, '--videos', '1'])
    out = capsys.readouterr().out
    assert 'cannot be counted: aten.item' in out and 'H100' not in out


def test_a_part_is_a_part(tool, capsys):
    with pytest.raises(SystemExit):
        tool.parse_args([CONFIG, '--share', '3'])
    assert 'at most 1' in capsys.readouterr().err
