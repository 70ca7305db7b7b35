# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoder that reads the subject before the sentence (TA-STVG)."""
from typing import Optional, Sequence, Union

import torch

from costa_mm.registry import MODELS
from costa_mm.structures import TextFeatures
from .base_text_encoder import TextTokens, check_sentence
from .hf_text_encoder import HFTextEncoder
from .subjects import parse_subject


@MODELS.register_module()
class SubjectTextEncoder(HFTextEncoder):
    """Encodes "man the man walks" for "the man walks".

    A sample may say its subject (``subject`` in its meta information, which
    :class:`LoadTargetAttributes` reads from a file); for any other one the
    rules of :func:`parse_subject` find it in the sentence.

    Args:
        parse (bool): Whether the rules are asked; without, a sentence whose
            subject is not given is read as it is.
        **kwargs: See :class:`HFTextEncoder`.
    """

    reads_meta = dict(subjects='subject')

    def __init__(self, *, parse: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.parse = parse

    def forward(self,
                sentences: Sequence[str],
                subjects: Optional[Sequence[Optional[str]]] = None
                ) -> TextFeatures:
        """Both steps at once.

        Args:
            sentences (Sequence[str]): B sentences.
            subjects (Sequence[str or None], optional): Their subjects, where
                they are known.

        Returns:
            TextFeatures: Tokens (B, L, C) and their mask (B, L).

        Raises:
            ValueError: If a sentence is empty, or there are not as many
                subjects.
        """
        return self.encode(self.tokenize(sentences, subjects=subjects))

    def tokenize(
        self,
        sentences: Sequence[str],
        device: Optional[Union[str, torch.device]] = None,
        subjects: Optional[Sequence[Optional[str]]] = None
    ) -> TextTokens:
        """Subjects and sentences to ids, see the base class."""
        subjects = [None] * len(sentences) if subjects is None else subjects
        if len(subjects) != len(sentences):
            raise ValueError(f'{len(sentences)} sentences have '
                             f'{len(subjects)} subjects')
        for i, sentence in enumerate(sentences):
            check_sentence(sentence, f'sentence {i} of the batch')
        return super().tokenize([
            self.prepend(sentence, subject)
            for sentence, subject in zip(sentences, subjects)
        ], device)

    def prepend(self, sentence: str, subject: Optional[str] = None) -> str:
        """The text that is encoded."""
        if subject is None and self.parse:
            subject = parse_subject(sentence)
        return f'{subject} {sentence}' if subject else sentence
