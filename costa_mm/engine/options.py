# Copyright (c) costa_mm authors. All rights reserved.
"""Settings given on the command line, ``--cfg-options KEY=VALUE``."""
import argparse
import ast
import difflib
from typing import Any, Iterable, Iterator, Sequence, Tuple

from mmengine.config import Config, DictAction

# what reading a text as Python may raise
_NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


class OptionsAction(DictAction):
    """MMEngine's ``DictAction`` that also takes what a config has.

    ``KEY=1``, ``KEY=a,b`` and ``KEY="[a,(b,c)]"`` are read as MMEngine does;
    ``KEY="[dict(type='A', n=1)]"`` and ``KEY="{'a': 1}"`` as a config file
    is.  Anything else is an error of the command line.
    """

    def __call__(self,
                 parser: argparse.ArgumentParser,
                 namespace: argparse.Namespace,
                 values: Sequence[str],
                 option_string: str = None) -> None:
        """Add the values to those of the options before."""
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in values:
            key, sign, value = text.partition('=')
            if not sign or not all(key.split('.')):
                parser.error(f'{option_string} {text!r}: give KEY=VALUE, '
                             'e.g. train_dataloader.batch_size=2')
            try:
                options[key] = parse_value(value)
            except ValueError as e:
                parser.error(f'{option_string} {text!r}: {e}')
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Value of an option.

    Args:
        text (str): What stands behind the ``=``.

    Raises:
        ValueError: If it is no value.
    """
    text = text.strip()
    if text.startswith(('[', '(', '{', 'dict(')) and (
            'dict(' in text or '{' in text):
        try:
            return _read(ast.parse(text, mode='eval').body)
        except _NO_PYTHON as e:
            if 'dict(' in text:
                raise ValueError(
                    'this is no value of a config; write it as in a config '
                    'file, e.g. "custom_hooks=[dict(type=\'MyHook\', n=1)]", '
                    f'or put it into one ({e})') from e
    try:
        return DictAction._parse_iterable(text)
    except (AssertionError, RecursionError) as e:
        raise ValueError('its brackets do not match') from e


def _read(node: ast.AST) -> Any:
    """A literal, a ``dict(...)``, or a word that lost its quotes."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [_read(x) for x in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_read(x) for x in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [_read(k) for k in node.keys]
        if all(isinstance(k, str) for k in keys):
            return dict(zip(keys, map(_read, node.values)))
    if isinstance(node, ast.Call) and not node.args and \
            ast.unparse(node.func) == 'dict' and all(
                k.arg for k in node.keywords):
        return {k.arg: _read(k.value) for k in node.keywords}
    if isinstance(node, (ast.Name, ast.Attribute, ast.UnaryOp)):
        return DictAction._parse_int_float_bool(ast.unparse(node))
    raise ValueError(f'{ast.unparse(node)} is neither text nor number, list '
                     'nor dict(key=value)')


def merge_options(cfg: Config, options: dict, known: Iterable[str]) -> None:
    """Override settings of a config.

    Args:
        cfg (Config): The config; changed.
        options (dict): ``--cfg-options``, keys dotted.
        known (Iterable[str]): Top-level keys that need not be in the config.

    Raises:
        KeyError: If the first part of a key names nothing, with the option
            and the nearest existing key.
        ValueError: If the rest of a key does not fit the config, or if it is
            a variable of the config's files that is used up when they have
            been read (``max_epochs``), and no setting has the value.
    """
    known = set(known)
    names = {*cfg.keys(), *known}
    for option in options:
        top = option.split('.')[0]
        if top not in names:
            close = difflib.get_close_matches(top, sorted(names), 1, 0.5)
            hint = f'; did you mean {close[0]!r}?' if close else ''
            raise KeyError(f'--cfg-options {option}: the config has no key '
                           f'{top!r}{hint}')
    for option, value in options.items():
        try:
            cfg.merge_from_dict({option: value})
        except Exception as e:  # MMEngine has no class of its own for it
            raise ValueError(f'--cfg-options {option}={value!r} does not fit '
                             f'the config: {e}') from e
    settings = {key: cfg[key] for key in cfg.keys() if key in known}
    for option, value in options.items():
        if option in cfg and option not in known:
            _check_used(settings, option, value)


def _check_used(settings: dict, name: str, value: Any) -> None:
    """Refuse a variable that the settings named like it do not follow."""
    places = list(_find(settings, name))
    if places and all(now != value for _, now in places):
        stale = ', '.join(f'{place} (now {now!r})' for place, now in places)
        raise ValueError(
            f'--cfg-options {name}={value!r} changes nothing: {name} is a '
            'variable, and the config has used it already; set instead '
            f'{stale}, and what else the config computes from it')


def _find(node: Any, name: str, path: str = '') -> Iterator[Tuple[str, Any]]:
    """Every setting of a name, with its dotted key."""
    if isinstance(node, dict):
        items = node.items()
    elif isinstance(node, (list, tuple)):
        items = enumerate(node)
    else:
        return
    for key, value in items:
        if key == name:
            yield f'{path}{key}', value
        yield from _find(value, name, f'{path}{key}.')
