"""LLMs behind one protocol: OpenAI-compatible endpoints, the embedded server, a scripted fake."""

from autointerp.llm.cache import CachedModel
from autointerp.llm.embedded import (
    EmbeddedModel,
    EmbeddedOptions,
    EmbeddedServer,
    start_embedded,
)
from autointerp.llm.json_reply import UnreadableJsonError, find_object
from autointerp.llm.openai_compatible import OpenAICompatible, Surroundings
from autointerp.llm.pool import ModelPool, start_embedded_pool
from autointerp.llm.protocol import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Features,
    JsonSchema,
    Message,
    TokenChoice,
    TotalUsage,
    Usage,
)
from autointerp.llm.retry import ClientOptions
from autointerp.llm.scripted import Handler, ScriptedModel, with_logprobs

__all__ = [
    "CachedModel",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ClientOptions",
    "EmbeddedModel",
    "EmbeddedOptions",
    "EmbeddedServer",
    "Features",
    "Handler",
    "JsonSchema",
    "Message",
    "ModelPool",
    "OpenAICompatible",
    "ScriptedModel",
    "Surroundings",
    "TokenChoice",
    "TotalUsage",
    "UnreadableJsonError",
    "Usage",
    "find_object",
    "start_embedded",
    "start_embedded_pool",
    "with_logprobs",
]
