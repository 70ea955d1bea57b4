"""LLMs behind one protocol: OpenAI-compatible endpoints, the embedded server, a scripted fake."""

from autointerp.llm.budget import BudgetedModel, ledger_of
from autointerp.llm.cache import CachedModel
from autointerp.llm.chat_model import (
    ChatModel,
    ChatReply,
    ChatRequest,
    EchoModel,
    EchoUnsupportedError,
    Features,
    JsonSchema,
    Message,
    TokenChoice,
    TotalUsage,
    Usage,
)
from autointerp.llm.cost_log import CostLog, Ledger, Spent, charge_to
from autointerp.llm.embedded import (
    EmbeddedOptions,
    EmbeddedServer,
    start_embedded,
    start_embedded_pool,
)
from autointerp.llm.openai_compatible import OpenAICompatible
from autointerp.llm.options import ClientDependencies, ClientOptions, Meter
from autointerp.llm.prices import (
    PlannedCalls,
    Price,
    Quote,
    estimate_job,
    estimate_text,
    read_prices,
)
from autointerp.llm.scripted import Handler, ScriptedModel
from autointerp.llm.shared_rate_limiter import SharedLimits
from autointerp.llm.wrapped_model import (
    UPPER_ESTIMATE,
    FittingModel,
    PromptTooLongError,
    TokenCounter,
    TokenizerCounter,
    as_echo,
    has_room,
    prompt_tokens,
)

__all__ = [
    "UPPER_ESTIMATE",
    "BudgetedModel",
    "CachedModel",
    "ChatModel",
    "ChatReply",
    "ChatRequest",
    "ClientDependencies",
    "ClientOptions",
    "CostLog",
    "EchoModel",
    "EchoUnsupportedError",
    "EmbeddedOptions",
    "EmbeddedServer",
    "Features",
    "FittingModel",
    "Handler",
    "JsonSchema",
    "Ledger",
    "Message",
    "Meter",
    "OpenAICompatible",
    "PlannedCalls",
    "Price",
    "PromptTooLongError",
    "Quote",
    "ScriptedModel",
    "SharedLimits",
    "Spent",
    "TokenChoice",
    "TokenCounter",
    "TokenizerCounter",
    "TotalUsage",
    "Usage",
    "as_echo",
    "charge_to",
    "estimate_job",
    "estimate_text",
    "has_room",
    "ledger_of",
    "prompt_tokens",
    "read_prices",
    "start_embedded",
    "start_embedded_pool",
]
