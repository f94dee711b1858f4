"""Topics, channels and senders: what people can choose, and who speaks to them."""

from typing import Any

from flask import request, url_for
from flask.typing import ResponseReturnValue

from prefs import words
from prefs.admin.access import allowed, me
from prefs.admin.forms import Form
from prefs.admin.frame import bp, go, say, show
from prefs.admin.wordings import CHANNEL_NAMES
from prefs.domain.catalogue import Topic
from prefs.domain.roles import Right
from prefs.domain.terms import Channel, MessageClass, Need
from prefs.edge import services
from prefs.errors import Conflict, InvalidInput, NotFound, UnknownTopic
from prefs.services.catalogue import DEFAULT_NEEDS

CLASS_NAMES: dict[str, str] = {
    MessageClass.MARKETING: "Marketing",
    MessageClass.TRANSACTIONAL: "Service",
    MessageClass.EMERGENCY: "Emergency",
}
NEED_NAMES: dict[str, str] = {Need.CONSENT: "Needs consent", Need.NO_OBJECTION: "Unless they say no"}
_OTHERS = [(code, name) for code, name in words.LANGUAGES.items() if code != words.DEFAULT]


@bp.get("/topics")
@allowed(Right.SEE_CATALOGUE)
def topics() -> ResponseReturnValue:
    """List the topics, in the order people see them."""
    found = services().kit.catalogue.topics
    return show(
        "catalogue/topics.html",
        groups=[(name, [one for one in found if one.message_class == kind]) for kind, name in CLASS_NAMES.items()],
        channels=CHANNEL_NAMES,
        needs=NEED_NAMES,
        missing=_missing,
        said=request.args.get("said"),
    )


@bp.get("/topics/new")
@allowed(Right.CHANGE_CATALOGUE)
def new_topic() -> ResponseReturnValue:
    """Show the form for a new topic."""
    return _form_page(Form(), None, {"message_class": ""})


@bp.post("/topics/new")
@allowed(post=Right.CHANGE_CATALOGUE)
def add_topic() -> ResponseReturnValue:
    """Add a topic."""
    form, table = Form(), {"message_class": ""}
    table = _typed(form, table)
    table["slug"] = form.required("slug", say("Give it a short name for programs, like open-days."))
    classes = (MessageClass.MARKETING, MessageClass.TRANSACTIONAL)
    table["message_class"] = form.chosen(
        "message_class", classes, say("Choose what it is. It cannot be changed later.")
    )
    if any(one.slug == table["slug"] for one in services().kit.catalogue.topics):
        form.problem("slug", say("There is a topic with this short name. Use another."))
    return _save(form, None, table)


@bp.get("/topics/<slug>")
@allowed(Right.SEE_CATALOGUE)
def topic(slug: str) -> ResponseReturnValue:
    """Show a topic, as people read it and as it works."""
    return _form_page(Form(), _topic(slug), services().kit.catalogues.table("topic", slug))


@bp.post("/topics/<slug>")
@allowed(post=Right.CHANGE_CATALOGUE)
def change_topic(slug: str) -> ResponseReturnValue:
    """Change a topic's words and what it needs."""
    form = Form()
    table = _typed(form, services().kit.catalogues.table("topic", slug))
    return _save(form, _topic(slug), table)


@bp.get("/topics/<slug>/retire")
@allowed(Right.CHANGE_CATALOGUE)
def retire_page(slug: str) -> ResponseReturnValue:
    """Say how many people retiring touches before it is done."""
    found = _topic(slug)
    return show("catalogue/retire.html", topic=found, number=services().kit.catalogues.choices_about(found.number))


@bp.post("/topics/<slug>/retire")
@allowed(post=Right.CHANGE_CATALOGUE, fresh=True)
def retire_topic(slug: str) -> ResponseReturnValue:
    """Retire a topic, or bring it back."""
    back = request.form.get("what") == "back"
    table = {**services().kit.catalogues.table("topic", slug), "retired": not back}
    services().kit.catalogues.change("topic", table, by=me().actor)
    return go("admin.topics", said="back" if back else "retired")


@bp.get("/channels")
@allowed(Right.SEE_CATALOGUE)
def channels() -> ResponseReturnValue:
    """Show who speaks to people on each channel, and through whom."""
    catalogue = services().kit.catalogue
    senders = {channel: [one for one in catalogue.senders if one.channel == channel] for channel in Channel}
    health = services().providers.health()
    carriers = {channel: one.provider for one in health for channel in one.provider.channels}
    held = {channel for one in health if one.held_by for channel in one.provider.channels}
    return show(
        "catalogue/channels.html",
        rows=[(channel, CHANNEL_NAMES[channel], senders[channel], carriers.get(channel)) for channel in Channel],
        held=held,
        classes=CLASS_NAMES,
        brands=catalogue.brands,
    )


def _topic(slug: str) -> Topic:
    try:
        return services().kit.catalogue.topic(slug)
    except UnknownTopic as error:
        raise NotFound("There is no such topic.") from error


def _missing(one: Topic) -> list[str]:
    """Return the languages a topic that people can choose is not said in."""
    if one.message_class is not MessageClass.MARKETING or one.retired:
        return []
    return [name for code, name in _OTHERS if code not in one.translations]


def _typed(form: Form, table: dict[str, Any]) -> dict[str, Any]:
    """Return the item with what was typed in the place of what there was."""
    name = form.required("name", say("Give it a name people understand."))
    translations = {}
    for code, language in _OTHERS:
        said = {part: form.text(f"{part}_{code}", longest=300) for part in ("name", "description")}
        if said["description"] and not said["name"]:
            sentence = say("Give it a name in %(name)s too, or clear its description.", name=language)
            form.problem(f"name_{code}", sentence)
        if said["name"]:
            translations[code] = said
    needs = {
        str(c): str(form.chosen(f"need_{c}", tuple(Need), say("Choose what it needs.")) or Need.CONSENT)
        for c in Channel
    }
    words_typed = {"name": name, "description": form.text("description", longest=300)}
    flags = form.several("flags", ("essential", "exempt"))
    return {
        **table,
        **words_typed,
        "translations": translations,
        "needs": needs,
        "essential": "essential" in flags,
        "exempt": "exempt" in flags,
    }


def _save(form: Form, found: Topic | None, table: dict[str, Any]) -> ResponseReturnValue:
    if not form:
        try:
            services().kit.catalogues.change("topic", table, by=me().actor)
        except (InvalidInput, UnknownTopic) as error:
            form.problem(error.field or "name", str(error))
        except Conflict as error:
            form.problem("name", str(error))
        else:
            return go("admin.topics", said="saved")
    return _form_page(form, found, table, 422)


def _form_page(form: Form, found: Topic | None, table: dict[str, Any], status: int = 200) -> ResponseReturnValue:
    defaults = DEFAULT_NEEDS[found.message_class if found else MessageClass.MARKETING]
    stated = table.get("needs", {})
    return show(
        "catalogue/topic.html",
        status,
        form=form,
        topic=found,
        table=table,
        others=_others(table),
        channels=[(c, say(CHANNEL_NAMES[c]), stated.get(str(c), str(defaults[c]))) for c in Channel],
        needs=[(need, say(name)) for need, name in NEED_NAMES.items()],
        classes=[
            (MessageClass.MARKETING, say(CLASS_NAMES[MessageClass.MARKETING]), say("People can stop it.")),
            (MessageClass.TRANSACTIONAL, say(CLASS_NAMES[MessageClass.TRANSACTIONAL]), say("They need it.")),
        ],
        action=url_for("admin.change_topic", slug=found.slug) if found else url_for("admin.add_topic"),
    )


def _others(table: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Return code, language, direction, name and description in each other language."""
    said = table.get("translations", {})
    return [
        (
            code,
            name,
            words.direction(code),
            said.get(code, {}).get("name", ""),
            said.get(code, {}).get("description", ""),
        )
        for code, name in _OTHERS
    ]
