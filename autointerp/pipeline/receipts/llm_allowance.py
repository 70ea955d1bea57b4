"""What may be asked of the LLM to try the label of one side of one unit."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.errors import RequestRefusedError
from autointerp.llm import UPPER_ESTIMATE, ChatModel, JsonSchema, charge_to, prompt_tokens
from autointerp.llm.answers import CUT_OFF, NoAnswerError, answer_of
from autointerp.llm.reply_formats import chat_request
from autointerp.llm.wrapped_model import why_refused
from autointerp.templates.loader import Role

MOST_TOKENS = 3000
"""Most prompt and completion tokens together for one side of a unit."""

Turns = Sequence[tuple[Role, str]]


class LlmAllowance:
    """Asks an LLM and counts the tokens; who asks again looks at the room that is left."""

    def __init__(
        self, model: ChatModel, *, most: int, seed: int, fresh: bool, spent: int = 0
    ) -> None:
        """Counts towards so many tokens, of which some were spent before."""
        self._model, self._most, self._seed, self._fresh = model, most, seed, fresh
        self.spent = spent

    @property
    def left(self) -> int:
        """Tokens that may still be spent."""
        return max(0, self._most - self.spent)

    def room(self, turns: Turns) -> int:
        """Tokens that are left for a reply to this prompt."""
        return self._most - self.spent - prompt_tokens(turns, UPPER_ESTIMATE)

    async def answer(self, turns: Turns, *, max_tokens: int, schema: JsonSchema) -> str:
        """The answer to one request.

        Raises:
            NoAnswerError: nothing that can be read, or the request was refused.
            UpstreamError: the LLM could not be used.
        """
        request = chat_request(
            self._model.features,
            turns,
            max_tokens=max_tokens,
            schema=schema,
            seed=self._seed % 2**31,
            fresh=self._fresh,
        )
        try:
            with charge_to("receipts"):
                reply = await self._model.reply(request)
        except RequestRefusedError as error:
            raise NoAnswerError(why_refused(error)) from error
        usage = reply.usage.prompt_tokens + reply.usage.completion_tokens
        texts = (*turns, ("assistant", reply.text))
        # Some endpoints do not say what they used.
        self.spent += usage or prompt_tokens(texts, UPPER_ESTIMATE)
        if reply.finish_reason == "length":
            raise NoAnswerError(CUT_OFF)
        return answer_of(reply)
