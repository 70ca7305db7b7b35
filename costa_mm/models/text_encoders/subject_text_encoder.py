# Copyright (c) costa_mm authors. All rights reserved.
"""Text encoder that reads the subject before the sentence (TA-STVG)."""
from typing import Optional, Sequence

from costa_mm.registry import MODELS
from costa_mm.structures import TextFeatures
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

    #: the grounder hands over the samples' subjects
    reads_subjects = True

    def __init__(self, *, parse: bool = True, **kwargs) -> None:
        super().__init__(**kwargs)
        self.parse = parse

    def forward(self,
                sentences: Sequence[str],
                subjects: Optional[Sequence[Optional[str]]] = None
                ) -> TextFeatures:
        """Encode sentences.

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
        subjects = [None] * len(sentences) if subjects is None else subjects
        if len(subjects) != len(sentences):
            raise ValueError(f'{len(sentences)} sentences have '
                             f'{len(subjects)} subjects')
        return super().forward([
            self.prepend(sentence, subject)
            for sentence, subject in zip(sentences, subjects)
        ])

    def prepend(self, sentence: str, subject: Optional[str] = None) -> str:
        """The text that is encoded; an empty sentence stays empty."""
        if subject is None and self.parse:
            subject = parse_subject(sentence)
        if not subject or not sentence.strip():
            return sentence
        return f'{subject} {sentence}'
