# Copyright (c) costa_mm authors. All rights reserved.
"""Settings given on the command line."""
import argparse

import pytest
from mmengine.config import Config

from costa_mm.engine.config import check_config
from costa_mm.engine.options import OptionsAction, merge_options, parse_value


@pytest.mark.parametrize('text, value', [
    ('1', 1), ('1e-4', 1e-4), ('true', True), ('None', None), ('a', 'a'),
    ('a,b', ['a', 'b']), ('[1,(a,2)]', [1, ('a', 2)]), ('', ''),
    ('epoch_{}.pth', 'epoch_{}.pth'), ('[a_{}.pth]', ['a_{}.pth']),
    ("[dict(type='A')]", [dict(type='A')]),
    ('[dict(type=A, n=-1, x=1e-3, f=false)]',
     [dict(type='A', n=-1, x=1e-3, f=False)]),
    ('[dict(type=costa_mm.A), dict(a=[dict(b=(1, 2))])]',
     [dict(type='costa_mm.A'), dict(a=[dict(b=(1, 2))])]),
    ("{'a': {'b': 1}}", dict(a=dict(b=1))), ('dict(a=None)', dict(a=None)),
    ("(dict(a='x y'), 2)", (dict(a='x y'), 2)),
])
def test_values(text, value):
    assert parse_value(text) == value
    assert type(parse_value(text)) is type(value)


@pytest.mark.parametrize('text', [
    '[dict(type=', "[dict('a')]", '[dict(**a)]', "[dict(a=open('x'))]",
    '[dict(a=1+1)]', 'dict(a=[x for x in y])', '[1,(2]',
    '[' * 5000 + ']' * 5000,
    '[dict(a=' * 300, '(' * 10000 + 'dict(a=1)' + ')' * 10000])
def test_what_is_no_value(text):
    with pytest.raises(ValueError, match='no value of a config|brackets'):
        parse_value(text)


def parse(*args):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    return parser.parse_args(['--cfg-options', *args]).cfg_options


def test_options_add_up():
    assert parse('a.b=1', 'c=x=y', '--cfg-options', "d=[dict(e='f')]") == {
        'a.b': 1, 'c': 'x=y', 'd': [dict(e='f')]}


@pytest.mark.parametrize('text', ['a', '=1', 'a..b=1', '.a=1', 'a.=1',
                                  "a=[dict('b')]"])
def test_a_malformed_option_is_an_error_of_the_command_line(text, capsys):
    with pytest.raises(SystemExit):
        parse(text)
    assert f'--cfg-options {text!r}' in capsys.readouterr().err


def test_what_does_not_fit_names_the_option():
    cfg = Config(dict(model=dict(depth=1), custom_hooks=[dict(type='A')]))
    merge_options(cfg, {'model.depth': 2, 'custom_hooks.0.type': 'B'}, ())
    assert cfg.model.depth == 2 and cfg.custom_hooks[0].type == 'B'
    for option in ('custom_hooks.7.type', 'custom_hooks.x', 'model.depth.a'):
        with pytest.raises(ValueError, match=f'--cfg-options {option}=1 '):
            merge_options(cfg, {option: 1}, ())
    with pytest.raises(KeyError, match='modle.*mean .model'):
        merge_options(cfg, {'modle.depth': 1}, ())


def test_a_variable_that_is_used_up_is_no_option():
    def merged(*options):
        cfg = Config(dict(
            max_epochs=4, free=1, train_cfg=dict(max_epochs=4),
            scheduler=[dict(end=4), dict(end=4)], end=4))
        merge_options(cfg, dict(options), ('train_cfg', 'scheduler'))
        return cfg

    with pytest.raises(ValueError, match=r'max_epochs=8 changes nothing: .*'
                       r'train_cfg.max_epochs \(now 4\)'):
        merged(('max_epochs', 8))
    with pytest.raises(ValueError, match=r'scheduler.0.end .*, sch.*1.end '):
        merged(('end', 8))
    # both, as tools/quickstart.sh does it; the order does not matter
    both = ('max_epochs', 8), ('train_cfg.max_epochs', 8)
    assert merged(*both).train_cfg.max_epochs == 8
    assert merged(*both[::-1]).max_epochs == 8
    assert merged(('max_epochs', 4), ('free', 2)).free == 2


@pytest.mark.parametrize('cfg, error', [
    (dict(custom_hooks=["dict(type='A')"]), 'custom_hooks must be a list of'),
    (dict(custom_hooks='A'), 'custom_hooks must be a list'),
    (dict(custom_hooks=dict(type='A')), 'custom_hooks must be a list'),
    (dict(visualizer=dict(vis_backends=['A'])), 'visualizer.vis_backends mus'),
    (dict(model=3), 'model must be a dict'), (dict(work_dir=3), 'work_dir mu'),
    (dict(train_dataloader=[1]), 'train_dataloader must be a dict'),
    (dict(resume='auto'), 'resume must be True or'),
    (dict(train_cfg=dict(max_epochs=2, max_iters=9)),
     'by_epoch=True, which counts max_epochs'),
    (dict(train_cfg=dict(by_epoch=False, max_epochs=2)),
     'by_epoch=False, which counts max_iters')])
def test_wrong_types_say_what_is_right(cfg, error):
    with pytest.raises(ValueError, match=error):
        check_config(Config(cfg))


@pytest.mark.parametrize('train_cfg', [
    None, dict(max_epochs=2), dict(by_epoch=False, max_iters=2),
    dict(type='MyLoop', max_iters=2, max_epochs=3)])
def test_lengths_that_a_loop_knows(train_cfg):
    check_config(Config(dict(train_cfg=train_cfg)))
