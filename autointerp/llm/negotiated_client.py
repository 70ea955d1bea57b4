"""A client of one model that asks in the form that it takes, whatever it refuses."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.api_call import ApiCall, CallRefusedError, TransientFailure
from autointerp.llm.api_errors import (
    ApiError,
    is_about_content,
    may_be_too_long,
    named_options,
    stops_everything,
    wording,
)
from autointerp.llm.call_attempts import CallAttempts
from autointerp.llm.capabilities import Capabilities, probe
from autointerp.llm.chat_model import ChatRequest
from autointerp.llm.formed_client import NO_REPLY, is_empty
from autointerp.llm.negotiating_client import NegotiatingClient
from autointerp.llm.negotiation import with_a_limit
from autointerp.llm.negotiation_requests import may_refuse_option
from autointerp.llm.room_client import is_long
from autointerp.llm.wire_format import Answer

_MOST_FORMS, _LOOKS = 4, 9
"""Tiny questions that are answered before what may pass is taken for what a prompt gets."""
_AS_A_KEY = 2
"""Times that a question is sent again that was refused as a key is while tiny ones are answered."""


@dataclass(slots=True)
class _SentForm:
    """The form in which a question was sent last."""

    known: Capabilities
    attempts: CallAttempts


class NegotiatedClient(NegotiatingClient):
    """Asks in the form that the endpoint takes. An object belongs to one event loop."""

    async def answer(self, request: ChatRequest) -> Answer:
        """The answer to a question, in the form that the endpoint takes when its turn comes."""
        form = _SentForm(self.known, self._client.new_attempts())
        for _ in range(_MOST_FORMS):
            if not form.attempts.is_form_taken:
                form.attempts = self._client.new_attempts()
            try:
                answer = await self._client.call(self._question(request, form), form.attempts)
            except CallRefusedError as refused:
                refusal = refused
            else:
                self._limit_was_taken(form.known)
                return await self._unless_empty(answer, request)
            instead = await self._after_a_refusal(refusal, request, form)
            if instead is not None:
                return instead
        async with self._negotiating:
            return await self._after(refusal, request)

    async def _after_a_refusal(
        self, refusal: CallRefusedError, request: ChatRequest, form: _SentForm
    ) -> Answer | None:
        """The answer to a question that was refused in this form; None where to ask once more."""
        known = form.known
        if refusal.lasted:
            return await self._after_what_lasted(refusal, request, form)
        if is_about_content(refusal.error):
            raise RequestRefusedError(str(await self.final(refusal))) from None
        if self._stops_everything(refusal.error):
            raise await self._fatal(refusal.error, refusal.instead) from None
        failure = refusal.failure
        is_passing = failure is not None and not failure.may_be_of_a_prompt
        if self._limit_was_refused(known) or is_passing:
            return None
        if failure is not None:
            return await self._unless_of_the_prompt(refusal.error, request)
        n_failed = self._n_failed
        async with self._negotiating:
            self._fail_as_others(n_failed)
            # Where the body would differ by now, another call has learned something.
            if self._body(request, known) == self._body(request, self.known):
                return await self._after(refusal, request)
        return None

    def _question(self, request: ChatRequest, form: _SentForm) -> ApiCall[Answer]:
        """A question in the form that is known by now, also where it has to wait for its turn."""

        def in_form() -> ApiCall[Answer]:
            form.known = self.known
            gives_up = may_refuse_option if self._narrower is not None else self._may_be_of_a_prompt
            return replace(self._chat(request, form.known, is_question=True), gives_up=gives_up)

        return replace(in_form(), renewed=in_form, behind=self._negotiating)

    def _may_be_of_a_prompt(self, failure: TransientFailure) -> bool:
        """Whether a failure that may pass may be how a prompt is refused, and was none so far."""
        error = failure.as_error
        is_so = failure.may_be_of_a_prompt and not failure.may_last and failure.asked_wait_s is None
        return is_so and self._was_found and not self._refused.may_pass(error)

    async def _unless_of_the_prompt(self, error: ApiError, request: ChatRequest) -> Answer | None:
        """The answer to a further attempt; None where it is no answer, and what fails may pass.

        It is of the prompt where tiny questions are answered before and after a second attempt that
        is refused alike, and then a third is.

        Raises:
            RequestRefusedError: it is refused for what it says.
        """
        async with self._negotiating:
            if self._refused.may_pass(error):
                return None
            self._refused.was_refused(self._client.n_answered)
            is_of_prompts, is_known = self._is_of_prompts(error), self._refused.are_known(error)
            tiny = probe(request)
            if not is_of_prompts and not await self._answers(tiny):
                self._refused.passes(error)
                return None
            is_told = is_of_prompts or (error.text and is_known)
            for n_looks in () if is_told else (0,) if is_known else (0, _LOOKS - 1):
                are_answered = await self._answers(tiny, n_looks, error)
                answer = await self._once_more(request, error) if are_answered else None
                if answer is not None or not are_answered:
                    self._refused.passes(error)
                    return answer
            if not is_told:
                self._refused.was_looked_into(error, self._client.n_answered)
        raise self._client.words.refused(error) from None

    async def _unless_empty(self, answer: Answer, request: ChatRequest) -> Answer:
        """The answer; where it has no choice at all, as that to a refused option, a plainer one."""
        if self._was_found and is_empty(answer):
            async with self._negotiating:
                with suppress(RequestRefusedError):
                    return await self._after(CallRefusedError(NO_REPLY), request)
        return answer

    async def _after(self, refusal: CallRefusedError, request: ChatRequest) -> Answer:
        """The answer to a question that was refused: with less room, or in its plain form.

        Raises:
            PromptTooLongError: the endpoint says that it does not fit.
            RequestRefusedError: it is refused for what it says.
            UpstreamError: the endpoint refuses everything by now.
        """
        fitting = await self.with_stated_room(refusal, request, self.known)
        fitting = fitting or await self.with_more_room(refusal, request)
        if fitting is not None:
            return fitting
        self._refused.was_refused(self._client.n_answered)
        tiny = probe(request)
        named = named_options(refusal.error, self._body(request, self.known))
        is_new, answered = not self._is_of_prompts(refusal.error), None
        if is_new and (named or await self._refusal(tiny, self.known) is not None):
            answered = await self._plainly(refusal, request, tiny)
        elif is_new:
            answered = await self._plainly_to_be_sure(refusal.error, request)
        if answered is not None:
            answer, plain = answered
            await self._negotiate_again(tiny, plain, named)
            return answer
        another = await self._from_another_server(refusal.error, request) if is_new else None
        if another is not None:
            return another
        if is_long(request) and (
            may_be_too_long(refusal.error) or await self._is_too_long(refusal.error, request)
        ):
            raise await self.too_long(refusal, request, self.known) from None
        instead = refusal.instead
        if instead is not None and (instead.retryable or isinstance(instead, RequestRefusedError)):
            raise instead from None
        raise RequestRefusedError(str(await self.final(refusal))) from None

    async def _after_what_lasted(
        self, refusal: CallRefusedError, request: ChatRequest, form: _SentForm
    ) -> Answer | None:
        """The answer to a question in its plain form, where a failure that may pass has lasted.

        Some services tell of one where they do not take an option any more. None where it is to be
        asked as it was, for the first time: others were answered since, or something tiny is.
        """
        known, attempts = form.known, form.attempts
        async with self._negotiating:
            if self._body(request, known) != self._body(request, self.known):
                return None
            may_be_form = attempts.takes_form()
            if may_be_form and (
                attempts.was_passed(self._client.check) or await self._answers(probe(request))
            ):
                return None
            answered = await self._once_plainly(request, known)
            if answered is None and may_be_form:
                return None
            if answered is None:
                raise refusal.instead or await self.final(refusal)
            answer, plain = answered
            with suppress(UpstreamError):
                is_steady = attempts.is_limited
                await self._negotiate_again(probe(request), plain, (), is_steady=is_steady)
        return answer

    async def _plainly(
        self, refusal: CallRefusedError, request: ChatRequest, tiny: ChatRequest
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in the plainest form that the endpoint takes by now.

        None where it is refused, while a tiny one is not.

        Raises:
            UpstreamError: a tiny one is refused too, in every form or with the same words.
        """
        plain, limit = self.known.without_options(), self.known.limit_name
        forms = [plain]
        for form in forms:
            why = await self._refusal(tiny, form)
            if why is None:
                call = replace(self._chat(request, form), gives_up=may_refuse_option)
                with suppress(CallRefusedError):
                    answer = await self._client.call(call)
                    return None if is_empty(answer) else (answer, form)
                return None
            if form == plain:
                forms += sorted(with_a_limit(plain, why), key=lambda one: one.limit_name != limit)
            elif isinstance(why, ApiError) and wording(why) == wording(refusal.error):
                break
        if await self._client.servers_differ(refusal.error):
            return None
        fatal = await self._fatal(refusal.error, refusal.instead)
        raise self._fails_for_all(fatal) from None

    async def _once_plainly(
        self, request: ChatRequest, known: Capabilities, words: str | None = None
    ) -> tuple[Answer, Capabilities] | None:
        """The answer to a question in its plain form, which is sent once, if it comes.

        A limit is added where the plain form is refused, in other words than those given.
        """
        plain = self.known.without_options()
        forms = [plain]
        for form in forms:
            call = replace(self._chat(request, form), gives_up=lambda _: True)
            if call.body == self._body(request, known):
                continue
            try:
                if not is_empty(answer := await self._client.call(call)):
                    return answer, form
            except CallRefusedError as refused:
                is_other = refused.instead is None and wording(refused.error) != words
                if form == plain and is_other:
                    forms += with_a_limit(plain, refused.error)
        return None

    async def _plainly_to_be_sure(
        self, error: ApiError, request: ChatRequest
    ) -> tuple[Answer, Capabilities] | None:
        """The answer in its plain form to a question whose options are taken of a tiny one.

        Behind one address may stand several servers, some of which do not take an option.
        """
        is_known = bool(error.text) and self._refused.are_known(error)
        if not self._was_found or is_known or stops_everything(error):
            return None
        return await self._once_plainly(request, self.known, words=wording(error))

    async def _from_another_server(self, error: ApiError, request: ChatRequest) -> Answer | None:
        """The answer to a question that is refused in its plain form too, where servers differ.

        A server behind the address may refuse everything. Where none does, the words are about
        prompts; so a filter that only words tell of costs one question more, once. Words that were
        said of a tiny question are not.
        """
        if not self._was_found or self._refused.are_known(error) or error == NO_REPLY:
            return None
        differ, is_of_all = await self._client.servers_differ(error), stops_everything(error)
        # What is said of a key is hardly said of a prompt.
        for _ in range(1 if differ else _AS_A_KEY if is_of_all else 0):
            try:
                call = replace(self._chat(request, self.known), is_question=True)
                return await self._client.call(call)
            except CallRefusedError as again:
                # By now all may be refused.
                if self._stops_everything(again.error):
                    raise await self._fatal(again.error, again.instead) from None
        self._refused.was_looked_into(error, self._client.n_answered)
        return None
