# Copyright (c) costa_mm authors. All rights reserved.
import numpy as np
import pytest

from costa_mm.visualization.text import (ELLIPSIS, clean_text, put_text,
                                         text_width, wrap_text)


def test_clean_text_removes_line_breaks_and_control_characters():
    assert clean_text(' a\n\tb\x00c ') == 'a bc'
    assert clean_text('abcdef', limit=4) == 'abc' + ELLIPSIS


def test_wrap_keeps_every_word_and_fits():
    text = 'the red square moves left and then it grows'
    lines = wrap_text(text, 16, 120, max_lines=10)
    assert ' '.join(lines) == text
    assert len(lines) > 1
    assert all(text_width(line, 16) <= 120 for line in lines)


def test_wrap_marks_what_it_leaves_out():
    lines = wrap_text('word ' * 50, 16, 100, max_lines=2)
    assert len(lines) == 2
    assert lines[-1].endswith(ELLIPSIS)
    assert text_width(lines[-1], 16) <= 100


def test_wrap_breaks_words_without_spaces():
    lines = wrap_text('x' * 40, 16, 100, max_lines=20)
    assert ''.join(lines) == 'x' * 40
    assert all(text_width(line, 16) <= 100 for line in lines)


@pytest.mark.parametrize('text', ['', '   ', '\n'])
def test_wrap_of_nothing_is_one_empty_line(text):
    assert wrap_text(text, 16, 100) == ['']


def test_ten_thousand_emoji_end_quickly():
    lines = wrap_text('😀' * 10000, 16, 300)
    assert len(lines) == 3


@pytest.mark.parametrize('text', ['ASCII', 'Größe', 'Ёлка', '«naïve»'])
def test_text_is_drawn_in_its_colour(text):
    image = np.zeros((40, 200, 3), np.uint8)
    put_text(image, text, (4, 4), 20, (255, 0, 0))
    assert image[..., 0].max() == 255
    assert image[..., 1:].max() == 0


def test_letters_beyond_ascii_are_not_replaced_by_boxes():
    pictures = []
    for text in 'äöЖ':
        image = np.zeros((40, 40, 3), np.uint8)
        put_text(image, text, (4, 4), 20, (255, 255, 255))
        pictures.append(image)
    assert (pictures[0] != pictures[1]).any()
    assert (pictures[1] != pictures[2]).any()


@pytest.mark.parametrize('xy', [(-30, 2), (2, -10), (90, 2), (2, 35),
                                (500, 500), (-500, -500)])
def test_text_is_clipped_at_the_edges(xy):
    image = np.zeros((40, 100, 3), np.uint8)
    put_text(image, 'clipped text', xy, 20, (255, 255, 255))
    assert image.shape == (40, 100, 3)
