"""Words and codes that tell of what lasts, in several languages.

They are hints: what they say is confirmed with a tiny question, and without them it is found out
with more of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from enum import Enum

from autointerp.llm.api_errors import (
    ApiError,
    is_about_content,
    is_prompt_too_long,
    is_transient,
    is_unpaid,
    names_a_key,
    names_a_rate,
    names_only_a_rate,
    stops_everything,
)


class Reason(Enum):
    """Why it is looked whether a refusal lasts."""

    LIMIT = "a limit that may be none of a rate"
    RATE = "a rate limit that several met in a row"
    FORM = "failures of several in a row that may be how a form is refused"
    HINT = "words that say that it lasts"
    SERVER = "a server that may be one of several"


OF_A_FORM = frozenset({0, 403, 404, 405})
"""Statuses that some use to refuse an option or a path; 0 is JSON of another shape."""
_SPENT = (
    r"(?:is|was|are|been|fully|all)? ?(?:used up|exhausted|depleted|spent|consumed|finished|gone"
    r"|too low|insufficient|expired|ran out|run out|negative|zero|over)"
)
_MONEY = (
    r"insufficient (?:\w+ )?(?:balance|credits?|funds?)",
    r"(?:not enough|no|out of|run out of|ran out of|zero|low|negative) (?:\w+ ){0,2}"
    r"(?:balance|credits?|funds?)\b",
    rf"(?:balance|credits?|funds)\b[^.;]{{0,30}}{_SPENT}",
    r"(?:add|buy|purchase|exhausted|depleted|used up) (?:\w+ ){0,3}(?:credits?|funds)\b",
    r"payment|overdue|arrear|good standing|wallet|(?:enable|requires?) billing"
    r"|billing (?:is )?not\b|unpaid|prepaid|top.?up|recharge|hard limit|spend\w* (?:limit|cap)",
    r"usage limits?\b|regain access|max budget|(?<!time )budget (?:has been |is )?exceeded",
    r"(?:month|day|dai|week|annual|year)\w*[^.;]{0,30}(?:quota|limit|allowance|budget|usage|tokens"
    r"|credits)",
    r"(?:quota|limit|limited|allowance|budget|usage)\b[^.;]{0,40}"
    r"(?:month|dai|week|year|(?:per|a|to)\s?day)",
    r"guthaben|tegoed|(?:cr[ée]dits?|solde|saldo|cr[ée]dito)\b.{0,30}(?:épuis|insuff?i[cs]"
    r"|agotad|esgotad|esaurit|ontoereikend|aufgebraucht|opgebruikt)",
    r"(?:insuffi[cs]\w+|insuficiente) .{0,20}(?:solde|saldo|cr[ée]dit)",
    r"factura|facturation|fatura|abrechnung|\brechnung|zahlung|paiement|\bpago\b|pagamento|betaling",
    r"mensu?[ae]l|mensil|monatlich|maandelijk|quotidien|journali|diári|giornalier"
    r"|tageslimit|täglich|dagelijk",
    r"(?:баланс|средств|кредит|денег)\w*.{0,30}(?:исчерп|недостаточ|закончил|израсход)",
    r"недостаточно.{0,20}(?:средств|денег|кредит|баланс)|пополнит|оплат",
    r"欠费|欠費|余额|餘額|充值|套餐|资源包|残高|課金|クレジット.{0,12}不足|잔액|잔고|결제|충전|크레딧.{0,12}(?:부족|소진)",
    r"bakiye|środk\w+",
)
_ACCOUNT = (
    r"(?:account|user|organi[sz]ation|project|subscription|workspace|licen[cs]e|trial|plan|tenant)\b"
    r"[^.;]{0,30}(?:suspend|deactivat|disabl|block|bann|lock|closed|terminat|frozen|delet|inactiv"
    r"|expire|ended|cancel|restrict|not active)",
    r"(?:suspended|deactivated|disabled|blocked|banned|expired|inactive) (?:\w+ ){0,2}"
    r"(?:account|organi[sz]ation|project|subscription|licen[cs]e)",
    r"konto.{0,30}(?:gesperrt|deaktiv)|compte.{0,30}(?:suspendu|désactiv|bloqu|ferm)",
    r"(?:cuenta|conta|account)\b.{0,30}(?:suspen|desactiv|desativ|bloque|sospes|geblok|opgeschort)",
    r"(?:аккаунт|уч[её]тн\w+ запис)\w*.{0,40}(?:заблок|приостан|отключ)",
    r"[账帐賬帳][户号戶號].{0,12}(?:停|封|冻|凍|禁|注销)|アカウント.{0,12}(?:停止|凍結|無効)|계정.{0,12}(?:정지|중지|차단)",
    r"hesab\w*.{0,20}ask|konto.{0,20}(?:zawieszon|zablokowan|spärrat)",
)
_QUOTA = (
    rf"(?:quota|allowance)\b[^.;]{{0,30}}{_SPENT}",
    r"(?:exhausted|depleted|used up|no|out of|no remaining|run out of|ran out of|insufficient)"
    r" (?:\w+ ){0,3}quota|billing|upgrade (?:your|to)\b"
    r"|plan(?:'s)? (?:\w+ ){0,2}(?:allowance|quota|limit)",
    r"(?:quota|cuota|cota|contingent|kontingent|forfait)\w*\b.{0,30}(?:épuis|agotad|esgotad|esaurit"
    r"|erschöpft|aufgebraucht|verbraucht|ausgeschöpft|opgebruikt|insuff?i[cs])",
    r"квот\w*.{0,30}исчерп|исчерп\w+.{0,20}квот",
    r"[额額]度.{0,8}(?:用|耗|不足)|[配限][额額].{0,8}(?:用完|用尽|耗尽|不足)|使い切|한도를 모두",
    r"kota\w*.{0,20}(?:dol|bit|tüken)",
)
_KEY = (
    r"(?:api|access|secret|auth\w*|licen[cs]e) ?(?:key|token)\b[^.;]{0,30}(?:not valid|invalid"
    r"|incorrect|revoked|expired|disabled|deactivated|not active|not found|unknown|wrong|suspend)",
    r"(?:invalid|incorrect|revoked|expired|unknown|wrong|disabled) (?:\w+ ){0,2}"
    r"(?:api|access|secret|auth\w*) ?(?:key|token)|(?:invalid|expired|bad) credentials",
    r"\bkey (?:is |was |has been )?(?:no longer )?"
    r"(?:not valid|valid|invalid|revoked|expired|suspended|disabled)",
    r"schlüssel.{0,30}(?:ungültig|gesperrt|abgelaufen|widerrufen)|ungültige\w* schlüssel",
    r"cl[eé]s?\b.{0,30}(?:invalide|révoqu|expir|non valide)",
    r"(?:clave|chave|chiave|sleutel)\b.{0,30}(?:inv[áa]lid|no v[áa]lid|non valid|revoc|revog|caduc"
    r"|expir|scadut|ongeldig|verlopen|ingetrokken)",
    r"ключ\w*.{0,30}(?:недейств|неверн|неправильн|отозван|проср|заблок)|неверн\w+ (?:api.?)?ключ",
    r"密[钥鑰].{0,8}(?:无效|無效|错误|失效|过期|停用)|无效.{0,6}(?:密钥|key)|キー.{0,8}(?:無効|失効|期限)"
    r"|키.{0,8}(?:유효하지|만료|잘못)|anahtar\w*.{0,20}geçersiz",
)
_OF_A_DAY = re.compile(
    r"(?<!hours )\b(?:per|an?|each|every|this) ?(?:day|week|month)\b|\b(?:dai|week|month)ly\b"
    r"|\btoday\b|24 ?h(?:ou)?rs?\b(?! (?:a|per) day)|\b[rt]p[dw]\b",
    re.IGNORECASE,
)
_OF_A_MINUTE = (
    r"minut|(?<!24)(?<!24.)\bhour|heure|\bhoras?\b|\bor[ae]\b|stunde|\bseconds?\b|segundo"
    r"|/ ?(?:min|sec|[smh])\b|\b[rt]p[ms]\b|concurren|frequen|burst|в (?:минуту|секунду)|每分|每秒"
    r"|并发|頻繁|频|毎分|分あたり|同時|분당|초당"
)
_SHORT_RATE = re.compile(
    r"(?:\b(?:per|every|each|an?|pro|par|por)|/) ?(?:min|sec|seg|sek|stund|hour|heure|hora)"
    r"|\b[rt]p[ms]\b|too many requests|每分|每秒|毎分|분당|초당",
    re.IGNORECASE,
)
_A_RATE = re.compile(
    rf"{_OF_A_MINUTE}|rate.?(?:limit|quota)|too many|throttl|slow down|overload|capacity"
    r"|high demand|unavailable|temporar|time.?out|timed out|resource.{0,16}exhausted"
    r"|requests? (?:in|within)|限流|속도",
    re.IGNORECASE,
)
_SOON = re.compile(
    r"later|shortly|\bsoon|moment|while|später|plus tard|m[áa]s tarde|mais tarde|più tardi|позже"
    r"|稍后|稍後|後ほど|しばらく|나중|잠시",
    re.IGNORECASE,
)


def _any(*groups: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(one for group in groups for one in group), re.IGNORECASE)


_STRONG, _KEYS, _QUOTAS = _any(_MONEY, _ACCOUNT), _any(_KEY), _any(_QUOTA)


def says_it_lasts(error: ApiError, *, remains_nothing: bool = False) -> bool:
    """Whether words or codes that are known say that asking again is in vain; no rate is named.

    That nothing remains, as headers may say, makes a rate of what may be one.
    """
    if error.is_page and error.status >= 500:
        return False
    words = _words(error)
    if is_unpaid(error) or _KEYS.search(words):
        return True
    if _OF_A_DAY.search(words):
        return not re.search(_OF_A_MINUTE, error.text, re.IGNORECASE)
    if _A_RATE.search(error.text):
        return False
    may_pass = remains_nothing or names_a_rate(error) or _SOON.search(error.text)
    return bool(_STRONG.search(words) or (not may_pass and _QUOTAS.search(words)))


def codes_say_it_lasts(error: ApiError) -> bool:
    """Whether its codes do so, whatever its words."""
    return says_it_lasts(replace(error, text=""))


def names_a_short_rate(error: ApiError) -> bool:
    """Whether its words name a rate that is shorter than one of a day."""
    return bool(_SHORT_RATE.search(error.text)) and not _OF_A_DAY.search(error.text)


def _words(error: ApiError) -> str:
    """Its words and codes, with blanks between the words of a code."""
    codes = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", f"{error.names} {error.code or ''}")
    return re.sub(r"[_-]+", " ", f"{error.text} ; {codes.replace('.', ' ')}")


def is_of_all(error: ApiError) -> bool:
    """Whether a status or a code refuses a key, a path or access, whatever is asked."""
    is_of_key = error.status in {401, 407} or names_a_key(error) or is_unpaid(error)
    return not is_about_content(error) and (is_of_key or error.status in OF_A_FORM)


def is_a_rate_limit(error: ApiError, headers: Mapping[str, str]) -> bool:
    """Whether a status that is final as a rule comes with what is told of rate limits alone."""
    if is_transient(error) or not 400 <= error.status < 500 or error.status in (413, 451):
        return False
    is_of_another = stops_everything(error) or is_about_content(error) or is_prompt_too_long(error)
    if is_of_another or says_it_lasts(error):
        return False
    return "retry-after" in headers or names_only_a_rate(error)
