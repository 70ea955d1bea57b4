"""What is known of the words that refuse questions: whether prompts or all questions are meant."""

from __future__ import annotations

import math

from autointerp.llm.api_errors import ApiError, wording

_MOST_IN_A_ROW = 3
"""Refusals of questions, none answered between them, before known words are looked into again."""


class RefusedWords:
    """The refusals of one client so far. Moments are told as numbers of calls answered so far."""

    def __init__(self) -> None:
        """Nothing was refused so far."""
        self._of_prompts: dict[str, int] = {}
        self._of_tiny, self._passing = set[str](), set[str]()
        self._last, self._n_in_a_row = -1, 0

    def was_refused(self, n_answered: int) -> None:
        """Counts the refusal of a question."""
        self._n_in_a_row = self._n_in_a_row + 1 if n_answered == self._last else 1
        self._last = n_answered

    def was_tiny(self, error: ApiError) -> None:
        """Takes note of what a tiny question was refused with."""
        self._of_tiny.add(said(error))

    def was_looked_into(self, error: ApiError, n_answered: int) -> None:
        """Takes words for those of prompts, unless a tiny question was refused with them."""
        if said(error) not in self._of_tiny:
            self._of_prompts[said(error)] = n_answered

    def forget(self, error: ApiError) -> None:
        """Takes words no longer for those of prompts."""
        self._of_prompts.pop(said(error), None)

    def passes(self, error: ApiError) -> None:
        """Takes words for those of what passes: a tiny question or a second attempt told so."""
        self._passing.add(said(error))
        self.forget(error)

    def may_pass(self, error: ApiError) -> bool:
        """Whether these words were said of what passes."""
        return said(error) in self._passing

    def are_known(self, error: ApiError) -> bool:
        """Whether these words were found to be said of prompts."""
        return said(error) in self._of_prompts

    def are_of_prompts(self, error: ApiError, n_answered: int) -> bool:
        """Whether these words were found to be said of prompts, and others were answered since.

        No longer where questions are refused one after the other: a key or a quota may be refused
        in the same words.
        """
        is_since = n_answered > self._of_prompts.get(said(error), math.inf)
        # Without words it may be of anything the next time.
        return bool(error.text) and is_since and self._n_in_a_row < _MOST_IN_A_ROW


def said(error: ApiError) -> str:
    """The status and words of a refusal, without what differs between requests."""
    return f"{error.status} {wording(error)}"
