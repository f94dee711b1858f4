"""Plain sentences that ask to be left alone, as rows of data: name, language, pattern.

Patterns are searched in a text as ``keywords.normalise`` leaves it (lower case, no accents, no
punctuation, apostrophes closed up: "don't" is "dont"). An *evident* row is a wish no reasonable
person could read otherwise (47 CFR 64.1200(a)(10), rules.md T-2); any other row is a hint that
holds marketing until a person has looked. Written from rules.md section 4 and half of an
independent collection of texts; the other half was held out (docs/reading-texts.md).
"""

import re
from dataclasses import dataclass

DATED = "2026-11-24"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One way of saying it; ``name`` is what the log, the console and ``prefs read-text`` show."""

    name: str
    language: str
    pattern: re.Pattern[str]
    evident: bool = True


def _rows(language: str, evident: bool, **patterns: str) -> list[Sentence]:
    made = []
    for name, pattern in patterns.items():
        filled = pattern
        for piece in sorted(_PIECES, key=len, reverse=True):
            filled = re.sub(rf"(?<![A-Z]){piece}(?![A-Z])", lambda _: _PIECES[piece], filled)  # noqa: B023  used at once
        made.append(Sentence(name, language, re.compile(rf"\b(?:{filled})\b"), evident))
    return made


# Pieces of patterns, so that each is written once.
_PIECES = {
    "TEXTS": (
        r"(?:texts?|txts?|textes|messages?|messgaes|mesages|msgs?|msges|sms|smses|mms|texting|messaging|alerts?"
        r"|notifications?|promos?|promotions?|spam|junk|marketing|reminders|communications?)"
    ),
    "WRITING": (
        r"(?:text(?:s|in|ing|img|ting|n|ng)?|txt(?:in|ing|n|ng|s)?|texing|tex(?:in|tin)|hit(?:ting)?|buzz(?:ing)?|messag(?:e|es|ing|in)|mess?ging|msg(?:ing|in|n)?|contact(?:ing|in)?"
        r"|spam(?:ming|min|ing)?|bother(?:ing|in)?|harass(?:ing|in)?|blow(?:ing|in)?|blast(?:ing)?|bombard(?:ing)?"
        r"|pester(?:ing)?|annoy(?:ing)?|bug(?:ging)|sms(?:ing)?|ping(?:ing)?|solicit(?:ing)?|emailing|mailing)"
    ),
    "NUMBER": r"(?:number|numbers|num|nbr|phone|cell|cellphone|mobile|line|info|details|contact|name|data)",
    "LIST": (
        r"(?:lists?|systems?|databases?|records?|files?|txts?|texts?|messages?|mailings?|contacts|subscriptions?"
        r"|distribution|thing|group|everything|sms|alerts?|database|crm|books)"
    ),
    # What messages are called, and sending them, in other languages.
    "MENSAJES": r"(?:mensajes?|mensajito\w*|sms|smss|msj\w*|msgs?|textos|whatsapps?|publicidad|propaganda|promociones|spam|avisos)",
    "ESCRIBIR": r"(?:escrib|eskrib|mand|envi|contact|llam|molest|mensaje|text|notific)\w*",
    "TEXTOS": r"(?:sms|messages?|textos?|msgs?|pubs?|publicites?|spams?|promos?|offres|texto|notifications?)",
    "ECRIRE": r"(?:contact|ecri|ecrir|envoy|envoi|appel|sollicit|derang|harcel|menvoy|mecri|mecrir|recontact|relanc|textot|spam|text)\w*",
    "SMS": r"(?:sms\w*|nachricht\w*|werbung|werbe\w*|mitteilung\w*|msgs?|newsletter|texte|angebote|spam)",
    "SCHREIBEN": (
        r"(?:schreib|schick|send|gesend|kontaktier|text|meld|sims|belastig|belaestig|nerv|anschreib|zuschick|zusend|anzuschreib|schreim)\w*"
    ),
    "MENSAGENS": r"(?:sms|msgs?|mensage\w*|torpedos?|textos?|propaganda\w*|spam|publicidade|promoc\w*|zaps?)",
    "ENVIAR": r"(?:mand|envi|escrev|contat|contact|perturb|incomod|mensag|enche)\w*",
    "MESSAGGI": r"(?:messagg\w*|sms|msg\w*|pubblicita|spam|promozion\w*|notifiche|testi)",
    "SCRIVERE": r"(?:scriv|mand|invi|contatt|disturb|messagg)\w*",
    "BERICHTEN": r"(?:sms\w*|bericht\w*|appjes?|apps|reclame|spam|aanbieding\w*|msgs?|meldingen)",
    "STUREN": r"(?:stuur|sturen|gestuurd|smsen|sms|appen|app|bericht|berichten|schrijf|schrijven|contacteer|contacteren|benader|benaderen|mailen|bel|bellen|lastigvallen|lastig)",
    "ME": r"(?:me|us|my \w+|this|that|him|her|it|the \w+)",
}

ENGLISH = _rows(
    "en",
    True,
    stop_writing=r"stop(?: \w+){0,2}? WRITING|stp (?:\w+ )?(?:tex|txt|msg|send|mess)\w*|stop(?: it)? with (?:the|these|all) (?:\w+ )?TEXTS",
    stop_sending=r"stop(?: \w+){0,1}? (?:sending|sendin|sendng) (?:me|us|these|this|them|those|it|TEXTS|anything|my|your|ur|to|so many|any)",
    stop_calling=r"stop calling (?:me|this|my \w+) (?:and|or) WRITING|stop (?:calls and|calling and) TEXTS",
    stop_texts=r"stop (?:(?:the|these|this|all|your|ur|my|those|any|with|of|further|more|sending|future|annoying) )*TEXTS",
    stop_receiving=(
        r"(?:stop|quit|end|avoid) (?:receiving|getting|recieving|gettin|reciving)"
        r"|(?:want|like|wish|prefer|need|tired of|sick of) (?:\w+ ){0,3}(?:receiving|getting|recieving) (?:\w+ ){0,2}TEXTS"
    ),
    quit_writing=r"(?:quit|cease|discontinue|desist|refrain|halt|knock off)(?: \w+){0,3}? (?:WRITING|contact|sending|TEXTS)",
    cease_and_desist=r"cease (?:and|n) desist|cease (?:all|any) \w+",
    off_list=(
        r"(?:take|remove|get|strike|delete|drop|scratch|rmv|rm|pull|cut|leave|kick|knock|keep|want|need|cross|wipe|scrub|tak)"
        r" (?:(?:my|this|our|that|his|her|the) (?:\w+ ){0,3}?NUMBER(?: and NUMBER)?|me|us|it|him|her)"
        r"(?: \w+){0,3}? (?:off|of|from|out of|outta|frm)(?: of)? (?:(?:your|ur|yr|this|the|that|all|these|any|every|future|our) )*"
        r"(?:\w+ ){0,3}?LIST"
    ),
    take_me_off=(
        r"(?:take|get|want|keep) (?:me|us|it|this number|my number) (?:the \w+ )?(?:off|out)(?: of)?(?: here| this| these| it)?"
        r"(?: please| pls| now| list| asap)*$"
        r"|take (?:me|us) off (?:ur|your|this|the)|(?:take|get) (?:my|this) (?:name|number) (?:off|out)|off (?:ur|your) (?:\w+ )?list"
    ),
    remove_me=(
        r"(?:remove|rmv|delete|erase|unlist|unenroll|deregister) (?:me|us)"
        r"|(?:remove|rmv|delete|dele?t|erase|lose|loose|forget|purge|ditch|clear|unlist|scrub|wipe|drop|nuke|pull|trash|burn) (?:(?:my|this|our|the)(?: \w+){0,2}? )?(?:number|num|nbr|phone number|cell|digits|contact info)"
        r"|(?:remove|delete|erase) (?:my|this|our)(?: \w+){0,2}? NUMBER"
    ),
    rather_not=(
        r"(?:rather|prefer|like|want|wish|choose)(?: you| u)?(?: to)? not(?: to)? (?:\w+ )?(?:receive|get|be|have|text|message|contact|send)(?: \w+){0,4}? ?(?:TEXTS|contacted|texted|me|these)"
        r"|any (?:further|more|other|future) TEXTS (?:\w+ ){0,3}?(?:will|is|are|and|from|would)|(?:u|you|yall|ya) not (?:text|txt|message|msg|contact|send|write)"
        r"|(?:have|need|got|want) to (?:say|tell|ask|type|text|write|send)(?: \w+){0,4}? stop|(?:please|pls|plz) (?:remove|delete|unsub\w*|unlist)(?: \w+)?$"
    ),
    removed=r"removal (?:requested|request|please|of|from)|request(?:ing)? (?:\w+ ){0,3}removal|(?:be|get|have|been) (?:removed|taken off|unsubscribed|deleted)|removal of my|(?:number|me) removed",
    no_more=(
        r"no (?:more|further)(?: \w+){0,2}? TEXTS|no more (?:of (?:these|this|those)|from you|please|pls|thanks|thank you)"
        r"|^no more$|no TEXTS please"
    ),
    do_not_write=(
        r"(?:do not|dont|dnt|donot|never|plz dont|pls dont|not to|cannot|must not|may not|shall not|no longer|wont you)(?: \w+){0,2}?"
        r" (?:text|txt|message|msg|contact|sms|solicit|hmu|spam|hit|write|bother|disturb|email|ring|harass)"
        r" (?:me|us|this (?:number|phone|line)|my|(?:\w+ )?again|any ?more|anymore|here|to me|no more)"
        r"|(?:do not|dont|never) (?:text|txt|message|msg|contact)$|(?:do not|dont|dnt|never) (?:call or|call and) (?:text|txt)"
    ),
    do_not_send=(
        r"(?:do not|dont|dnt|never)(?: \w+){0,2}? send (?:me |us |my \w+ |this \w+ )?"
        r"(?:(?:any|no|these|this|another|more|nothing|your|ur|further|anything|those|them|a single|TEXTS)(?: |$))+(?:\w+ ){0,2}?"
        r"(?:TEXTS|again|anymore|else|more|please|$)?"
    ),
    do_not_contact_list=r"do not (?:contact|text|call|disturb) (?:list|registry|register)|(?:dnc|dnt) (?:list|registry)|^dnc$|no call list",
    unsubscribe=r"un ?sub(?:s|scri?be?d?|scirbe|scibe|scribing|cribe|scrib|sribe)?|unsuscribe|unsusbcribe|ubsubscribe|unsubscribed?",
    opt_out=r"opt(?:ing|ed|in)?(?: me| us| my \w+)?(?: the \w+)? out|opt ?out|optout",
    want_out=r"(?:want|let me|get me|i m|im) out of (?:this|these|the|your|ur) (?:\w+ ){0,2}?(?:TEXTS|LIST)|count me out",
    not_wanted=(
        r"(?:do not|dont|no longer|never|didnt|did not|dnt|not|doesnt)(?: \w+){0,2}?"
        r" (?:want|wish|need|like|consent|agree|care|interested|asked?|appreciate|sign(?:ed)?|subscribe[d]?|request(?:ed)?|authorize[d]?)"
        r"(?: \w+){0,5}? (?:TEXTS|text me|contacted|texted|messaged|these|updates|list)"
    ),
    never_signed=r"(?:never|didnt|did not) (?:even )?(?:sign(?:ed)?|subscribe[d]?|opt(?:ed)?|gave|give|given|agree[d]?|consent(?:ed)?|ask(?:ed)? (?:for|to))",
    consent_withdrawn=r"(?:revoke|revoking|withdraw|withdrawing|rescind|retract|cancel) (?:\w+ ){0,3}(?:consent|permission|authorization|subscription|agreement)|not consent",
    cancel_texts=(
        r"(?:cancel|end|quit|terminate|disable|deactivate|turn off|shut off|discontinue|unfollow|kill|silence)"
        r" (?:(?:my|the|all|these|this|your|ur|any|further|future|those|text|sms|marketing) )*(?:\w+ )?(?:TEXTS|subscription|service|membership alerts)"
    ),
    keep_writing=r"(?:keep|kept|keeps|continue|still) (?:on )?(?:WRITING|sending|getting|receiving)(?: \w+){0,3}? ?(?:me|us|TEXTS|these)",
    asked_before=r"(?:asked|told|said|texted|sent|replied|typed|requested|asking|saying|telling)(?: (?:you|u|yall|them|already|to|times|\d+|now|yesterday|before|nicely|it|please|said|the|word))* (?:stop|unsubscribe)",
    number_not_theirs=(
        r"(?:this is not|this isnt|isnt|not|no longer|aint)(?: \w+){0,2}? (?:his|her|their) (?:number|phone|cell)(?: \w+){0,8}? (?:stop|remove|delete|take|quit|please|pls|off|dont)"
        r"|(?:no longer|isnt|not) (?:\w+ ){0,2}(?:number|phone)(?: any ?more)?(?: \w+){0,4}? (?:stop|remove|delete|take|please|pls|off|dont)|new owner of this (?:number|phone)|no longer \w+s (?:number|phone)"
    ),
    wrong_number_stop=r"(?:wrong|incorrect) (?:number|person|phone|num|guy|contact|#)(?: \w+){0,6}? (?:stop|remove|delete|take|dont|quit|do not|lose|please|pls|off)",
    leave_alone=r"leave (?:me|us|my \w+) (?:\w+ ){0,3}?(?:alone|be|out)|get off my (?:phone|line)|let me be",
    one_more=(
        r"(?:text|message|contact|msg|txt|write|call|bother)(?:ing)? (?:me|us|this number) (?:\w+ ){0,4}?(?:again|more)"
        r"(?: \w+){0,6}? (?:report|reporting|sue|suing|lawyer|attorney|complaint|police|block|blocked|fcc|ftc|ico|tcpa|legal)"
        r"|(?:another|next|one more|more) (?:TEXTS|message)(?: \w+){0,8}? (?:report|reporting|sue|suing|lawyer|attorney|complaint|fcc|ftc|ico|tcpa|legal|blocked|blocking)"
    ),
    threat=(
        r"(?:stop|or|will|going|gonna|ill|im|am|be|to)(?: \w+){0,4}? (?:report(?:ing)?|su(?:e|ing)|complain(?:ing)?|file|filing|notify)"
        r"(?: \w+){0,6}? (?:fcc|ftc|ico|tcpa|complaint|lawsuit|spam|attorney|harassment|regulator|authorities|number|you|u|this|commissioner)"
        r"|(?:this is|its|it is|considered|for) (?:\w+ )?harass?ment|hear from my (?:lawyer|attorney)|(?:fcc|ftc|tcpa|ico) (?:complaint|violation|report)"
    ),
    stop_or_else=r"^stop (?:or|and|before|this|now|bothering|harassing|it now|or ill|immediately|right now|at once)|please stop$|pls stop$|plz stop$|just stop$",
    deceased=(
        r"(?:passed away|passed on|deceased|died|no longer with us|passed)(?: \w+){0,8}?"
        r" (?:stop|remove|delete|take (?:him|her|them|this|the|his)|no more|do not|dont (?:text|message|contact|send)|texts|messages|off your)"
        r"|(?:stop|remove|delete|no more|texts?)(?: \w+){0,8}? (?:passed away|deceased|died)"
    ),
    swearing=r"^(?:\w+ ){0,2}(?:f|fuck|fk|fck|piss|eff|bugger|sod) off|(?:fuck|screw) (?:you|u|your|ur) (?:\w+ )?TEXTS",
    go_away=r"^go away(?: \w+){0,3}$|^get lost(?: \w+){0,2}$|^go to hell|^buzz off|^shut up$|^enough(?: already| is enough| now| of this)?$",
)

ENGLISH_HINTS = _rows(
    "en",
    False,
    wrong_number=(
        r"^(?:\w+ ){0,4}wrong (?:number|person|num|guy|phone)(?: \w+){0,4}$|(?:have|got|texting) (?:the )?wrong (?:number|person)"
        r"|^(?:sorry )?this (?:is not|isnt) \w+(?: \w+)?$|^(?:there is )?no(?: one|body) (?:here )?(?:named|called|by that name)"
    ),
    not_interested=r"^(?:(?:im|i am|no|sorry|thanks|but|hi|really|we are|were|were) )*not interested(?: (?:thanks|thank you|thx|anymore|sorry|please|pls|bye|in \w+(?: \w+)?))*$|^no (?:thanks|thank you)(?: \w+){0,2} not interested",
    stop_somebody=r"^(?:please |pls |yes )?stop (?!by|at|in|it|and|over|being|doing|the|off|for|there|here|laughing|worrying|crying|lying|thinking|that)\w+(?: \w+)?$",
    out=r"^(?:(?:please|pls|just|i|im|want|wanna|count|let|get|leave|drop|take|me|us|am) )*out$|^(?:please )?(?:drop me|let me go|wipe me|lose me|forget (?:about )?me)(?: \w+)?$",
    not_wanted_short=r"^(?:i |we )?(?:dont|do not|no longer|didnt) want (?:it|them|any|this|these|that|those)(?: any ?more| thanks| please| ever)?$|^unwanted\b",
    had_enough=(
        r"^(?:please )?cut it out(?: \w+){0,3}$|^(?:(?:im|i am|ive|i have|so|totally) )*(?:(?:done|finished) (?:here|with (?:you|this|these|it)(?: \w+){0,2})|over it|had it|sick of (?:this|it|these|you))$|^goodbye for good$|^can (?:you|u) not$"
    ),
    nobody_here=r"no (?:\w+ ){1,3}(?:at|on|with|has|uses) this (?:number|phone)|^(?:sorry )?this aint \w+$|^i(?: a)?m not (?:dr|mr|mrs|ms|miss|prof) \w+(?: \w+){0,6}$|^im not the (?:one|person|guy|lady|woman|man) (?:\w+ ){0,2}(?:looking|trying|want)\w*(?: \w+){0,3}$",
    slipped_number=r"(?:wrng|rong|worng|wrog|wron) (?:number|num|nmbr|person|phone)",
    permission=r"(?:permission|consent|agreement|authori[sz]ation)(?: \w+){0,3}? (?:revoked|withdrawn|removed|cancell?ed|denied|retracted|ended)|(?:dont|do not|never had) have (?:my )?(?:permission|consent)|take back my (?:ok|okay|permission|consent|agreement|yes)",
    stop_for_good=r"stop (?:these|them|this|it|those)(?: \w+){0,4}? (?:altogether|completely|entirely|for good|forever|once and for all)|(?:which|what) button stops|wheres the off (?:switch|button)|turn off the lot",
    getting_blocked=r"^(?:\w+ ){0,2}(?:youre|you are|ur|u r) (?:getting |being |gonna be |now )?blocked(?: \w+){0,2}$",
    who_is_this=r"who (?:is|r|are) (?:this|you|u) (?:and )?(?:how|why)(?: \w+){0,4} (?:number|texting)",
)

SPANISH = _rows(
    "es",
    True,
    de_baja=(
        r"(?:de|d|dar\w*|dame|denme|dadme|deme|solicito|quiero|pido) (?:la |mi )?baja"
        r"|baja (?:por favor|ya|porfa|pf|x favor|gracias|del|de la|de|ahora)"
    ),
    no_escriban=(
        r"(?:no|nunca|ya no|jamas|ni)(?: \w+){0,3}? (?:ESCRIBIR)(?: \w+){0,5}? ?"
        r"(?:mas|nada|nunca|numero|MENSAJES|favor|porfa|jamas|publicidad|telefono|cosas)"
        r"|(?:no|ya no|nunca) (?:me |nos )(?:ESCRIBIR)|(?:no|ni) (?:me )?vuelvan? a (?:ESCRIBIR)"
    ),
    dejen_de=(
        r"^para(?:d|en)? (?:ya|por favor|porfa|de una vez)$|"
        r"(?:deje|deja|dejen|dejad|dejar|pare|para|paren|parad|cesen|basta|hart[oa]|cansad[oa]) (?:ya )?(?:de|con) "
        r"(?:\w+ ){0,2}?(?:ESCRIBIR|MENSAJES|joder|acosar\w*|insistir)"
    ),
    no_quiero=(
        r"(?:ya )?no (?:quiero|kiero|qiero|deseo|necesito|autorizo|acepto|pedi|solicite|queremos)(?: \w+){0,4}?"
        r" (?:MENSAJES|recibir\w*|saber|(?:que )?me (?:ESCRIBIR)|nada|sus|mas)"
    ),
    fuera_de_la_lista=(
        r"(?:quit|saqu|sac|sak|borr|elimin|retir|remuev|remov|kit)\w*(?: \w+){0,4}?"
        r" (?:listas?|numero|num|base|telefono|tel|sistema|datos|agenda|contactos)"
        r"|(?:borr|elimin|saqu|sac|quit|retir)(?:en|ad|a|e)me"
    ),
    no_mas=r"no mas (?:MENSAJES|por favor|porfa|gracias|de (?:esto|estos))|^(?:ya )?(?:basta|no mas|suficiente)(?: ya| por favor| gracias)*$",
    en_paz=r"(?:dej|dexad)\w*(?: \w+){0,2}? (?:en paz|tranquil\w+)",
    equivocado=(
        r"(?:numero|persona|tel|telefono|num) (?:ekivocad|equivocad|incorrect|erroneo|errad)\w*"
        r"|(?:equivoc|ekivoc)\w*(?: \w+){0,2} (?:numero|persona)|ya no es (?:el|la|de|su) (?:\w+ ){0,3}(?:numero|telefono|de)"
        r"|no soy \w+(?: \w+){0,6}? (?:numero|ESCRIBIR|borr\w*|quit\w*|elimin\w*)|ya no es de \w+"
    ),
    denuncio=r"(?:les|los|os|lo|le) (?:voy a )?(?:denunci|demand|report)\w*|aepd|profeco|es acoso",
    fallecio=r"(?:fallecio|murio|fallecid\w+)(?: \w+){0,10}? (?:ESCRIBIR|MENSAJES|numero|telefono|lista|baja|mas)",
    cancelar=(
        r"(?:cancel|anul|deten|suspend|termin|desactiv|elimin)\w*(?: \w+){0,2}? (?:suscripcion|MENSAJES|envios?|servicio de \w+)"
    ),
    desuscribir=r"(?:desu|dessu|desin|desi|desub)s?crib\w*|desuscr\w*|desapunt\w*|desafili\w*",
    stop_es=r"stop (?:por favor|porfavor|porfa|MENSAJES|ya|a los|x favor)",
)
SPANISH_HINTS = _rows("es", False, no_me_interesa=r"^(?:\w+ ){0,2}no me interesa\w*(?: \w+){0,4}$")

FRENCH = _rows(
    "fr",
    True,
    plus_de=r"plus (?:de |d |aucun |jamais de |vos |ces |recevoir (?:\w+ ){0,2})(?:TEXTOS)|plus rien (?:recevoir|de vous)|recevoir plus",
    veux_plus=(
        r"(?:veux|veut|souhaite|desire|voudrais|aimerais|accepte|voulons|jveux|veu)(?: \w+){0,2}? (?:plus|pas|ne plus)(?: \w+){0,4}?"
        r" (?:TEXTOS|recevoir|vos|contact\w*|sollicit\w*|publicite)|jveux plus (?:\w+ ){0,3}TEXTOS"
    ),
    n_ecrivez_plus=(
        r"(?:ECRIRE)(?: \w+){0,2}? (?:plus|rien|jamais)|(?:ne|n|pas|merci de ne|de) (?:\w+ ){0,2}?(?:plus|jamais|pas) (?:\w+ ){0,2}?(?:ECRIRE)"
    ),
    arretez=(
        r"(?:d|n|m|j)?(?:arret|arrt|aret|arett|cess|stopp|finiss)\w* (?:\w+ ){0,3}?(?:ECRIRE|TEXTOS|spam\w*|immediatement|tout de suite|maintenant|ca|svp)"
        r"|^(?:arret|arrt|aret|stopp)(?:e|ez|er|es|z)?(?: tout| svp| stp| merci| maintenant| ca suffit)*$"
    ),
    stop_fr=r"stop (?:(?:svp|aux|les|vos|a|stp|ces|tous) )*(?:svp|TEXTOS|merci|harcelement|spam|stp|maintenant)|(?:demande|dit|envoye|redemande) stop",
    retirez=(
        r"(?:retir|enlev|supprim|effac|ray|radi|vir|otez|otez|oubli)\w* (?:moi|nous|(?:\w+ ){0,2}?(?:numero|num|listes?|fichiers?|coordonnees|base|tel))"
        r"|(?:retir|enlev|supprim|effac)\w*(?: \w+){0,5}? (?:listes?|fichiers?|listing|base|repertoire)"
    ),
    desabonner=r"des(?: )?(?:abon|inscri|insri|abonn|incri)\w*|desab\w*|resilier? (?:\w+ ){0,2}abonnement|annul\w* (?:\w+ ){0,2}(?:abonnement|inscription)|de(?:s)?inscription",
    tranquille=r"(?:laiss|fout|fich|lach)\w*(?: \w+){0,2}? (?:tranquil\w*|paix|grappe)|(?:marre|ras le bol|assez) (?:\w+ ){0,3}(?:TEXTOS|spam\w*|pub\w*)|^ca suffit\w*(?: \w+){0,3}$",
    mauvais_numero=(
        r"(?:mauvais|faux|pas le bon|erreur de|trompez? de) (?:numero|num|personne|destinataire|tel)|plus (?:le|son) (?:numero|num|tel\w*)(?: de)?"
    ),
    plainte=r"(?:signal|plainte|porte|saisi|previen|contact)\w*(?: \w+){0,5}? (?:cnil|plainte|police|avocat|justice|dgccrf)|33700|cnil",
    decede=r"(?:deced\w*|est mort\w*)(?: \w+){0,10}? (?:plus|ECRIRE|TEXTOS|numero|liste|supprim\w*|retir\w*|arret\w*)",
    jamais_inscrit=r"jamais (?:\w+ )?(?:inscrit|demande|donne|abonne|accepte)\w*(?: \w+){0,4}|(?:retire|revoque) mon (?:consentement|accord)|oppose a",
)
FRENCH_HINTS = _rows(
    "fr",
    False,
    fin=r"^fin(?: \w+)?$|(?:y en a|jen ai|en ai) marre",
    pas_interesse=r"^(?:\w+ ){0,3}pas interess\w*(?: \w+){0,4}$",
)

GERMAN = _rows(
    "de",
    True,
    schreiben_nicht=(
        r"(?:SCHREIBEN)(?: \w+){0,6}? (?:nicht|nie|nichts|keine|kein|nix|nich|niemals|keinen)(?: \w+){0,2}? (?:mehr|wieder|SMS)"
        r"|(?:nicht|nich|nix|nichts|nie|niemals|keine|kein)(?: \w+){0,4}? (?:mehr|wieder|weiter\w*)(?: \w+){0,4}? (?:SCHREIBEN|bekomm\w*|erhalt\w*|SMS|haben|zu)"
        r"|(?:nicht|nie) (?:mehr|wieder) (?:SCHREIBEN)|(?:bitte|danke) nicht mehr|nie wieder (?:SCHREIBEN|SMS)"
    ),
    keine_sms=r"(?:keine|kein|ohne|keinerlei|stop) (?:\w+ ){0,2}?SMS(?: \w+){0,3}? ?(?:mehr|bitte|danke|von|erhalten|bekommen|schicken|senden|$)",
    will_nicht=(
        r"(?:will|mocht|mochte|moecht|wunsch|wuensch|brauch|erlaub)\w*(?: \w+){0,5}? (?:keine|kein|nicht|nichts|nich|nix)"
        r"(?: \w+){0,3}? (?:SMS|mehr|SCHREIBEN|von (?:euch|ihnen)|kontakt\w*)"
        r"|(?:will|mocht|moecht|wunsch)\w*(?: \w+){0,4}? (?:abmeld\w*|austrag\w*|abbestel\w*)"
    ),
    aufhoren=(
        r"(?:hor|hoer|hort|hoert|horen|hoeren)(?:en|t)?(?: \w+){0,3}? auf(?: endlich| bitte| jetzt)?(?: (?:mir|damit|mit|zu|uns|mich|SMS)|$)"
        r"|aufhor\w* (?:mir|mit|zu)|unterlass\w* (?:\w+ ){0,4}(?:SMS|SCHREIBEN|kontakt\w*|das)|stell\w* (?:\w+ ){0,4}(?:SMS)(?: \w+){0,3} ein"
    ),
    aus_der_liste=(
        r"(?:nehm|nimm|nehmt|streich|losch|loesch|entfern|trag|schmeiss|werf|sperr)\w*(?: \w+){0,7}?"
        r" (?:listen?|verteiler\w*|nummer|nr|datenbank|kartei|numma|handynummer|kontakte|system)"
        r"|(?:bitte |mich )?austrag\w*|tragt? (?:mich|uns) (?:\w+ )?aus|(?:nummer|nr|daten|rufnummer|handynummer|numma)(?: \w+){0,4}? (?:losch|loesch|entfern|streich|sperr|gelosch|raus)\w*"
        r"|(?:losch|loesch)(?:ung|en|t|e)? (?:meiner|meine|mich|alle|diese)"
    ),
    abmelden=r"(?:meld|melden|melde|meldet) (?:\w+ ){0,4}ab(?: bitte)?$|abm?eld\w*|abmedl\w*|amelden|abbestel\w*|abestel\w*|abo (?:beenden|kundigen|stornieren)|abzumelden|abgemeldet",
    in_ruhe=r"(?:lass|lasst|lassen|lasse)(?: \w+){0,4}? in (?:\w+ )?(?:ruhe|frieden|ruh)|verschon\w* (?:mich|uns)|verpisst? euch|(?:schluss|genug) (?:\w+ ){0,2}SMS|^(?:es reicht|jetzt reicht\w*|schluss jetzt|mir reicht\w*)(?: \w+){0,3}$",
    falsche_nummer=(
        r"falsche[rn]? (?:nummer|person|nr|empfanger|adressat|numma)"
        r"|bin nicht (?:frau|herr|der|die)(?: \w+){0,9}? (?:nummer|SMS|SCHREIBEN|nichts|nicht|losch\w*)|(?:nummer|handy)(?: \w+){0,3}? (?:gehort|nicht mehr)"
    ),
    widerruf=r"(?:widerruf|wiederruf|widersprech|widersprich|wiedersprech)\w*(?: \w+){0,6}? ?(?:einwilligung|SMS|werbung|nutzung|zustimmung|kontakt\w*|$)|einwilligung (?:\w+ ){0,3}(?:widerruf\w*|zuruck)",
    anzeige=r"(?:noch (?:eine?|mal)|sonst|wenn|letzte|nachste)(?: \w+){0,8}? (?:anzeig\w*|anwalt|bundesnetzagentur|abmahn\w*|polizei|zeige?|melde)|bundesnetzagentur",
    verstorben=r"(?:verstorben\w*|gestorben)(?: \w+){0,10}? (?:nicht|keine|nummer|losch\w*|SMS|SCHREIBEN|mehr|streich\w*)",
    nie_angemeldet=r"(?:nie|niemals|nicht)(?: \w+){0,3}? (?:angemeldet|zugestimmt|eingewilligt|erlaubt)",
    stop_de=r"stop+(?: \w+)? (?:bitte|SMS|danke|endlich|damit|werbung)",
)
GERMAN_HINTS = _rows(
    "de",
    False,
    kein_interesse=r"^(?:\w+ ){0,3}(?:kein(?:erlei)? (?:interesse|bedarf)|nicht interessiert)(?: \w+){0,6}$",
)

PORTUGUESE = _rows(
    "pt",
    True,
    pare_de=(
        r"(?:pare|parem|para|parar|chega|cansei|cansad[oa]|deixem|deixe) (?:de|com|d) (?:\w+ ){0,2}?(?:ENVIAR|MENSAGENS|encher|spam|isso)"
        r"|^(?:pare|parem)(?: \w+){0,2}$"
    ),
    nao_enviem=(
        r"(?:nao|nunca|n|jamais)(?: \w+){0,2}? (?:ENVIAR)(?: \w+){0,4}? ?(?:mais|nada|MENSAGENS|numero|favor)"
        r"|(?:nao|nunca) (?:me|nos) (?:ENVIAR)|nao voltem a (?:ENVIAR)"
    ),
    nao_quero=(
        r"(?:nao|n) (?:quero|desejo|aceito|autorizo|pedi|solicitei|preciso|autorizei)(?: \w+){0,4}? (?:MENSAGENS|receber|contat\w*|nada|mais)"
        r"|nunca (?:me )?(?:cadastr|inscrev|autoriz|assin)\w*"
    ),
    tirem_da_lista=(
        r"(?:tir|remov|exclu|apag|delet|retir|elimin|risc)\w*(?: \w+){0,5}? (?:listas?|numero|dai|cadastro|base|telefone|daqui|contatos?|sistema|fone)"
        r"|me (?:tir(?:a|e|em)|remov(?:a|am)|exclu(?:a|am|i)|apag(?:a|ue|uem)|delet(?:a|e|em)|retir(?:a|e|em))|(?:tirem|retirem|removam|excluam|apaguem) me"
    ),
    cancelar=(
        r"(?:cancel|anul|suspend|interromp|encerr)\w*(?: \w+){0,3}? (?:MENSAGENS|recebimento|inscricao|assinatura|cadastro|envios?|subscricao)"
    ),
    descadastrar=r"descadast\w*|desinscr\w*|dessubscr\w*|desubscr\w*",
    em_paz=r"(?:deix|larg)\w*(?: \w+){0,2}? em paz|me esque[cç]\w*|(?:chega|basta) de (?:MENSAGENS)",
    engano=r"numero (?:errado|trocado|enganado)|(?:e|foi|por) engano(?: \w+){0,5}? (?:numero|tir\w*|remov\w*|ENVIAR|pare\w*)|pessoa errada|nao sou (?:o|a|eu) \w+(?: \w+){0,6}? (?:numero|tir\w*|ENVIAR)",
    denuncia=r"procon|anatel|(?:vou|irei|senao|ou)(?: \w+){0,3}? (?:denunci|process)\w*|lgpd|rgpd|anacom",
    faleceu=r"(?:faleceu|morreu)(?: \w+){0,10}? (?:ENVIAR|MENSAGENS|numero|lista|tir\w*|remov\w*|mais|parem?)",
    sair=r"(?:quero|gostaria de|desejo|como) sair (?:da|desta|dessa|disso|desse)|sair (?:da|desta|dessa) lista|^sair(?: \w+){0,2}$",
)
PORTUGUESE_HINTS = _rows("pt", False, sem_interesse=r"^(?:\w+ ){0,3}(?:sem|nao tenho|n tenho) interesse(?: \w+){0,4}$")

ITALIAN = _rows(
    "it",
    True,
    smettete=(
        r"smett(?:ete|etela|ila|i|erla|a|ano)(?: (?:di|con) (?:\w+ ){0,2}?(?:SCRIVERE|MESSAGGI|rompere)|(?: \w+){0,2}$)"
        r"|(?:finit|piant)(?:ela|atela|ala|ila)(?: \w+){0,6}|basta (?:(?:con|i|questi|vostri|gli) )*(?:MESSAGGI|SCRIVERE)|^basta(?: \w+){0,2}$"
    ),
    non_scrivete=(
        r"(?:non|nn|mai)(?: \w+){0,3}? (?:SCRIVERE)(?: \w+){0,4}? ?(?:piu|mai|nulla|niente|MESSAGGI|numero)|(?:non|nn) (?:mi|ci) (?:SCRIVERE)|non (?:SCRIVERE)mi"
    ),
    non_voglio=r"(?:non|nn) (?:voglio|desidero|intendo|autorizzo|accetto)(?: \w+){0,3}? (?:MESSAGGI|ricevere|essere contattat\w*|vostr\w+|piu|comunicazioni)|mai (?:\w+ )?(?:iscritt|autorizzat|richiest)\w*",
    toglietemi=(
        r"(?:cancell|toglie|togli|rimuov|elimin|leva)\w*(?: \w+){0,6}? (?:listas?|lista|liste|numero|num|elenco|rubrica|database|nr|mailing|archivio)"
        r"|(?:cancella|toglie|togli|rimuove|elimina|leva)(?:te)?mi"
    ),
    disiscrivi=r"(?:disi|dis|disc)s?criv\w*|disiscri\w*|(?:disdi|disdett|annull|disattiv)\w*(?: \w+){0,3}? (?:iscrizione|MESSAGGI|abbonamento|servizio)",
    in_pace=r"lasci\w*(?: \w+){0,2}? (?:in pace|stare|perdere|tranquill\w*)|non rompe\w*",
    sbagliato=r"(?:numero|persona|nr) (?:sbagliat|errat)\w*|sbagliat\w* (?:numero|persona)|non e piu il numero|non sono \w+(?: \w+){0,6}? (?:numero|SCRIVERE|cancell\w*)",
    denuncia=r"(?:vi|ti|la|segnal\w*|denunci\w*)(?: \w+){0,3}? (?:denunci\w*|querel\w*|garante|avvocato)|garante",
    deceduto=r"(?:dece?dut\w*|mancat\w*|mort[oa])(?: \w+){0,10}? (?:SCRIVERE|MESSAGGI|numero|lista|cancell\w*|piu)",
    revoca=r"(?:revoc|ritir)\w* (?:il )?(?:mio )?consenso",
    stop_it=r"stop (?:(?:ai|agli|i|con) )*(?:MESSAGGI|grazie|per favore)",
)
ITALIAN_HINTS = _rows(
    "it",
    False,
    finirla=r"(?:la )?(?:volete|vuoi) finir(?:e|la)\b",
    nessun_interesse=r"^(?:\w+ ){0,3}(?:non (?:mi |sono )?interess\w*|nessun interesse)(?: \w+){0,4}$",
)

DUTCH = _rows(
    "nl",
    True,
    stop_met=(
        r"(?:stop|stopt|hou|houd|houdt|kap|kappen|ophouden)(?: \w+){0,2}? (?:met|op met|mee met) (?:\w+ ){0,3}?(?:STUREN|BERICHTEN|spam\w*|dit|deze|die)"
        r"|^(?:hou|kap|houd)(?: \w+){0,3} (?:op|mee|ermee)(?: \w+){0,2}$|^stop(?: er)?(?: nu| nou| eens| aub| mee| ermee| alsjeblieft| svp| hiermee)*$|stop (?:aub|svp) (?:\w+ )?BERICHTEN"
    ),
    stuur_niet=(
        r"(?:STUREN)(?: \w+){0,5}? (?:niet|nooit|geen|niks|niets|nie)(?: \w+){0,2}? ?(?:meer|BERICHTEN)"
        r"|(?:niet|nooit|geen|niks|niets|nie)(?: \w+){0,4}? (?:meer|langer|verder) (?:\w+ ){0,2}?(?:STUREN|BERICHTEN|ontvang\w*|krijg\w*|hebben)"
        r"|(?:STUREN) (?:me|mij|ons|dit nummer) (?:niet|nooit|niks|niets)|nooit meer (?:STUREN)"
    ),
    geen=r"geen (?:\w+ ){0,2}?BERICHTEN(?: \w+){0,2}? ?(?:meer|aub|svp|graag|alsjeblieft|sturen|ontvangen|$)",
    wil_geen=r"(?:wil|wens|wou|hoef)(?: \w+){0,4}? (?:geen|niet|niks|niets)(?: \w+){0,4}? (?:BERICHTEN|meer|ontvang\w*|STUREN)|(?:wil|graag|kan ik)(?: \w+){0,3}? (?:uitschrijven|afmelden|uitgeschreven|eraf)",
    van_de_lijst=r"(?:haal|haalt|verwijder|schrap|gooi|wis|schrijf|delete|streep|hal)\w*(?: \w+){0,6}? (?:lijst\w*|nummer|nr|bestand\w*|database|gegevens|systeem|uit|eraf)|verwijder\w* (?:mij|me|mijn)|(?:mij|me|nummer|gegevens)(?: \w+){0,4}? (?:verwijder|wissen|schrap)\w*",
    afmelden=r"(?:meld|schrijf|zeg|schrijft) (?:\w+ ){1,4}(?:af|uit|op)(?: aub| svp| graag)?$|a[fv]?meld(?:en|n)?|afmel\w*|uitschrij\w*|uitgeschreven|uitschrijv\w*|(?:abonnement|dienst) (?:stop|opzeg)\w*",
    met_rust=r"(?:laat|laten)(?: \w+){0,3}? (?:met rust|gerust)|^(?:rot|donder|flikker|hoepel) (?:nou |toch |eens )?op(?: \w+){0,6}$|(?:zat|genoeg|gek)(?: \w+){0,3} (?:van|aan)(?: \w+){0,2} BERICHTEN",
    verkeerd=r"verkeerde?(?: \w+)? (?:nummer|persoon|nr)|fout nummer|(?:nummer|telefoon)(?: \w+){0,3}? niet meer van|ben \w+ niet(?: \w+){0,8}? (?:STUREN|BERICHTEN|nummer)",
    klacht=r"(?:dien|doe|anders|nog|volgende)(?: \w+){0,8}? (?:klacht|aangifte|advocaat|acm|autoriteit)",
    overleden=r"(?:overleden|gestorven)(?: \w+){0,10}? (?:STUREN|BERICHTEN|nummer|lijst|niet|geen|verwijder\w*|meer)",
    toestemming=r"(?:trek|intrek)\w*(?: \w+){0,4}? toestemming|nooit (?:\w+ ){0,4}(?:aangemeld|opgegeven|toestemming|ingeschreven)",
)
DUTCH_HINTS = _rows(
    "nl", False, geen_interesse=r"^(?:\w+ ){0,3}(?:geen (?:interesse|behoefte)|niet geinteresseerd)(?: \w+){0,4}$"
)

# What uses the words of a wish to stop and means the contrary, or something else.
CONTRARY: tuple[Sentence, ...] = (
    *_rows(
        "en",
        False,
        by_accident=r"(?:unsub\w*|opted out)(?: \w+){0,6}? (?:by (?:accident|mistake)|accidentally)|accidentally (?:unsub\w*|opted out|(?:texted|replied|sent|typed|hit) stop)|(?:did not|didnt|never) unsub\w*",
        again=r"sign me (?:back )?up|(?:put|add|opt) me back (?:on|in)|(?:put|add|opt) me (?:on|in) again",
        new_number=r"my (?:new )?(?:number|phone|cell)(?: number)? (?:has |have )?changed|my new (?:number|cell|phone)",
    ),
    *_rows("de", False, versehen=r"versehen(?:tlich)? abgemeldet|wieder (?:eintragen|anmelden|aufnehmen)"),
    *_rows("fr", False, erreur=r"(?:desabonne|desinscrit)\w*(?: \w+){0,2} par erreur|re(?:in|ins)scri\w*|reabonn\w*"),
    *_rows(
        "es",
        False,
        sin_querer=r"(?:baja|desuscrib\w*)(?: \w+){0,3}? (?:por error|sin querer)|(?:de baja|baja) (?:medica|maternal|laboral|por enfermedad)|de baja hasta",
    ),
)

SENTENCES: tuple[Sentence, ...] = (
    *(*ENGLISH, *SPANISH, *FRENCH, *GERMAN, *PORTUGUESE, *ITALIAN, *DUTCH),
    *(*ENGLISH_HINTS, *SPANISH_HINTS, *FRENCH_HINTS, *GERMAN_HINTS, *PORTUGUESE_HINTS, *ITALIAN_HINTS, *DUTCH_HINTS),
)
