"""Columns of a list that may say who opted out and who did not: by their name, or by what stands in them.

No format explains such a column, so a list that has one is not taken for a list of opt-outs
unless the caller says it is one (reliability.md V49). The words are those of our languages,
written as ``folded`` returns them; letters with marks may be written with or without.
"""

import re
import unicodedata

NAMES = {
    "en": r"subscri|\bunsub|opt.?(in|out)|consent|permission|status|\bstate\b|suppress|bounce|complain|blocklist"
    r"|blacklist|active|newsletter|\bmarketing|accept|agree|allow",
    "de": r"abonn|anmeld|angemeld|abmeld|abgemeld|einwillig|zustimm|einverstand|werbung|erlaub|sperr|widerruf|widerspr"
    r"|aktiv",
    "fr": r"abonn|inscri|accord\b|autoris|statut|bloqu|refus|\bactif",
    "es": r"suscri|acept|autoriz|permiso|estado|bloque|rechaz|\bbaja\b|boletin|\bactiv[oa]\b",
    "pt": r"inscri|\bassin|aceit|autoriz|permiss|situacao|bloque|recus|descadastr|boletim|\bativ[oa]\b",
    "ar": "اشتراك|مشترك|موافق|نشره|نشرة|حاله|حالة|حظر|الغاء|رفض|تسويق",
}
"""Parts of the names of columns about consent, by language."""

ANSWERS = {
    "any": "1|0|x|✓|✔|☑|✗|✘",
    "en": "yes|no|y|n|true|false|t|f|on|off|active|inactive|enabled|disabled|subscribed|unsubscribed|not subscribed"
    "|never subscribed|subscriber|opted in|opted out|opt in|opt out|optin|optout|pending|confirmed|unconfirmed"
    "|allowed|blocked|granted|denied|accepted|declined|rejected|agreed|consented|revoked|cleaned|bounced|suppressed"
    "|complained|blocklisted|blacklisted|bounce|hard bounce|soft bounce|complaint|spam complaint|unsubscribe",
    "de": "ja|nein|j|wahr|falsch|aktiv|inaktiv|abonniert|nicht abonniert|abbestellt|angemeldet|abgemeldet|bestatigt"
    "|unbestatigt|ausstehend|gesperrt|erlaubt|zugestimmt|abgelehnt|widerrufen",
    "fr": "oui|non|o|vrai|faux|actif|inactif|abonne|abonnee|non abonne|desabonne|desabonnee|inscrit|inscrite|desinscrit"
    "|desinscrite|confirme|en attente|bloque|accepte|refuse",
    "es": "si|no|s|verdadero|falso|activo|activa|inactivo|inactiva|suscrito|suscrita|suscripto|no suscrito|desuscrito"
    "|alta|baja|confirmado|pendiente|bloqueado|aceptado|rechazado",
    "pt": "sim|nao|verdadeiro|falso|ativo|ativa|inativo|inativa|inscrito|inscrita|nao inscrito|assinante|descadastrado"
    "|cancelado|confirmado|pendente|bloqueado|aceito|aceite|recusado",
    "ar": "نعم|لا|صحيح|خطا|نشط|غير نشط|مشترك|غير مشترك|الغى الاشتراك|موافق|غير موافق|موكد|مرفوض|محظور",
}
"""What stands in such a column, by language: answers, and the words tools have for a person's state."""

_NAME = re.compile("|".join(NAMES.values()))
_ANSWERS = frozenset("|".join(ANSWERS.values()).split("|"))


def names_consent(name: str) -> bool:
    """True for the name of a column that may say who opted out."""
    return _NAME.search(folded(name)) is not None


def is_answer(cell: str) -> bool:
    """True for a cell that says yes, no, subscribed, or the like, in any of our languages."""
    return folded(cell) in _ANSWERS


def folded(text: str) -> str:
    """Return a text as the tables have it: lower-case, without marks on letters, single spaces for ``-`` and ``_``."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(letter for letter in plain if not unicodedata.combining(letter)).translate(_SPACES).split())


_SPACES = str.maketrans("-_", "  ")
