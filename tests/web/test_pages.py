"""What every recipient page promises: no cookie early, nothing foreign, headers, one heading, its language."""

import re
import tomllib
from html.parser import HTMLParser
from importlib import resources

import pytest

from prefs import words
from tests.make import ADA, BEN, World
from tests.web.test_rights import ask

CONSENT = {"channel": "email", "to": ADA, "topic": "events", "source": "form", "wording": "Yes, events please."}


def every_page(world: World) -> dict[str, str]:
    """Return the address of every page that can be opened, by name, with a person behind the tokens."""
    world.know(("email", ADA), ("sms", BEN))
    link = world.link()
    world.post("/v1/consents", {**CONSENT, "double_opt_in": True})
    progress = ask(world, "access")
    world.work()
    confirm = next(mail for mail in world.mails() if "/confirm/" in mail.text)
    pressed = world.link(to="pressed@example.com")
    world.client.post(f"{pressed}/stop", data={"scope": "all"})
    chosen = world.client.post(f"{link}/choose", data={"topic": ["surveys"]}).headers["Location"]
    sent = world.client.post("/stop", data={"address": ADA, "want": "link"}).headers["Location"]
    stopped = world.client.post("/stop", data={"address": "x@example.com", "want": "stop"}).headers["Location"]
    choices = world.choices_link()
    fields = world.form(world.client.get(choices).text)
    partners = next(name for name in fields if name.endswith(".partner-offers"))
    saved = world.client.post(choices, data={**fields, partners: "stop"}).headers["Location"]
    return {
        "P1": link,
        "P1 choose": f"{link}/choose",
        "P1 ticked": chosen,
        "P2": f"{pressed}/done",
        "P2b": pressed,
        "P3": choices,
        "P3 saved": saved.partition("#")[0],
        "P4": "/stop",
        "P5": sent,
        "P6": stopped,
        "P7": "/u/dead",
        "P9": "/rights",
        "P9 progress": progress,
        "P10": "/nothing-here",
        "P11": world.link_in(confirm, "/confirm/"),
        "accessibility": "/accessibility",
    }


_NOT_WORDS = {"style", "script", "bdi", "b", "code"}
_WITHOUT_END = {"input", "br", "meta", "link", "hr"}
_READ_OUT = {"aria-label", "alt", "title", "placeholder"}


class Texts(HTMLParser):
    """Collects what a reader sees: texts, and the attributes that are read out."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        hidden = tag in _NOT_WORDS or (given.get("dir") == "ltr" and tag != "html") or "hreflang" in given
        if (hidden or self._skipped) and tag not in _WITHOUT_END:
            self._skipped += 1
        self.found += [value for name, value in attrs if name in _READ_OUT and value]

    def handle_endtag(self, tag: str) -> None:
        if self._skipped:
            self._skipped -= 1

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._skipped:
            self.found.append(data.strip())


def of_data(text: str) -> bool:
    """True for what comes from the catalogue of topics, which has translations of its own, or is a date."""
    topics = load_topics()
    known = {topic["name"] for topic in topics} | {topic.get("description") for topic in topics}
    named = text in known or text.strip("“” ") in known
    return named or bool(re.fullmatch(r"\d+ (November|December) \d{4}\.?", text)) or text.startswith("Surveys")


def load_topics() -> list[dict[str, str]]:
    found = tomllib.loads(resources.files("prefs").joinpath("catalogue.toml").read_text())
    return list(found["topic"])


def test_every_text_of_every_page_can_be_translated(world: World) -> None:
    """The made-up language puts brackets around whatever comes from a catalogue; what has none was forgotten."""
    forgotten = []
    pages = every_page(world)
    for name, path in pages.items():
        world.client.set_cookie("prefs_language", "en-XA")
        page = world.client.get(path).text
        inner = page.partition("<body>")[2]
        for _ in range(3):  # a text inside a text
            inner = re.sub(r"⟦[^⟦⟧]*⟧", "", inner)
        reader = Texts()
        reader.feed(inner)
        forgotten += [(name, text) for text in reader.found if re.search(r"[A-Za-z]{2}", text) and not of_data(text)]

    assert forgotten == []


@pytest.mark.parametrize("language", list(words.LANGUAGES))
def test_every_page_opens_in_every_language_with_its_direction(world: World, language: str) -> None:
    for name, path in every_page(world).items():
        world.client.set_cookie("prefs_language", language)
        page = world.client.get(path).text
        assert f'<html lang="{language}" dir="{words.direction(language)}">' in page, name
        assert page.count("<h1") == 1, name


def test_every_page_has_one_heading_the_footer_and_nothing_from_elsewhere(world: World) -> None:
    for name, path in every_page(world).items():
        answer = world.client.get(path)
        page = answer.text
        heading = re.sub(r"<[^>]+>", "", re.search(r"<h1>(.*?)</h1>", page, re.DOTALL)[1])  # type: ignore[index]
        title = re.search(r"<title>(.*?)</title>", page)[1]  # type: ignore[index]
        assert page.count("<h1") == 1, name
        assert title.endswith(" - Northwind Imaging"), name
        assert title.startswith(heading) or name == "P3 saved", (name, title, heading)
        assert "Write to the Privacy Office" in page, name
        assert "Ask for a copy, a correction or deletion" in page, name
        assert not re.search(r'(src|action)="https?:', page), name
        assert set(re.findall(r'href="(https?://[^"]+)"', page)) <= {"https://northwind.example/privacy"}, name
        assert "<script" not in page, name
        assert "http-equiv" not in page, name
        assert "style=" not in page, name
        assert answer.headers["Cache-Control"] == "no-store", name
        assert answer.headers["Referrer-Policy"] == "strict-origin", name
        assert answer.headers["X-Robots-Tag"] == "noindex", name
        assert "script-src 'nonce-" in answer.headers["Content-Security-Policy"], name


def test_no_cookie_before_a_form_needs_one(world: World) -> None:
    for name, path in every_page(world).items():
        visitor = world.client.application.test_client()
        answer = visitor.get(path)
        assert ("Set-Cookie" in answer.headers) is name.startswith("P3"), name


def test_the_form_cookie_is_bound_to_host_and_https(build_world) -> None:  # type: ignore[no-untyped-def]  # item 26
    world = build_world(PREFS_BASE_URL="https://prefs.example.com")
    world.services.kit.catalogues.ensure_default()
    link = world.services.linking.to_choices(*_email(world))
    path = link.removeprefix("https://prefs.example.com")

    cookie = world.client.get(path, base_url="https://prefs.example.com").headers["Set-Cookie"]

    assert cookie.startswith("__Host-prefs=")
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"))


def _email(world: World):  # type: ignore[no-untyped-def]
    from prefs.domain.address import parse_address
    from prefs.domain.terms import Channel

    return Channel.EMAIL, world.services.kit.address_keys.key(parse_address(Channel.EMAIL, ADA))


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        pytest.param({"cookie": "fr", "query": "de", "contact": "es", "browser": "pt"}, "fr", id="the menu wins"),
        pytest.param({"query": "de", "contact": "es", "browser": "pt"}, "de", id="then the link"),
        pytest.param({"contact": "es-MX", "browser": "pt"}, "es", id="then the person"),
        pytest.param({"browser": "xx, pt-BR;q=0.8, de;q=0.5"}, "pt", id="then the browser"),
        pytest.param({"contact": "zz", "browser": "zz"}, "en", id="then English"),
    ],
)
def test_the_language_is_the_readers(world: World, asked: dict[str, str], spoken: str) -> None:
    world.know(**({"locale": asked["contact"]} if "contact" in asked else {}))
    if "cookie" in asked:
        world.client.set_cookie("prefs_language", asked["cookie"])
    link = world.link() + (f"?lang={asked['query']}" if "query" in asked else "")

    page = world.client.get(link, headers={"Accept-Language": asked.get("browser", "")}).text

    assert f'<html lang="{spoken}"' in page


def test_the_menu_sets_the_language_and_leads_back(world: World) -> None:
    link = world.link()
    answer = world.client.get("/lang", query_string={"to": "ar", "next": link})

    assert answer.headers["Location"] == link
    assert 'dir="rtl"' in world.client.get(link).text
    assert world.entries() == []


def test_the_made_up_language_is_for_development_only(build_world) -> None:  # type: ignore[no-untyped-def]
    world = build_world(
        PREFS_ENV="production",
        PREFS_BASE_URL="https://prefs.example.com",
        PREFS_EMAIL_TRANSPORT="smtp",
        SMTP_URL="smtp://localhost:25",
        PREFS_SMS_TRANSPORT="twilio",
    )

    page = world.client.get("/stop?lang=en-xa", base_url="https://prefs.example.com").text

    assert '<html lang="en"' in page


def test_a_text_without_translation_is_said_in_english(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from babel.support import NullTranslations

    monkeypatch.setattr(words, "translations", lambda _language: NullTranslations())

    page = world.client.get(world.link() + "?lang=de").text

    assert "Unsubscribe from all marketing emails" in page


# Every heading, button and error of the pages, as ux.md section 4 words them, and where each shows.
WORDING = {
    "P1": (
        "Unsubscribe from our marketing emails",
        "Press one button and it is done.",
        "Unsubscribe from all marketing emails",
        "Stop only “Product offers” emails",
        "Choose what I get instead",
        "You will still get messages you need",
        "such as appointment times, results notices and receipts. They are not marketing.",
        "Opened this by mistake? Close the page. Nothing has changed.",
    ),
    "P1 choose": (
        "Stop all marketing emails",
        "Stop this",
        "Stop the ones I ticked",
        "To see your choices or start something again, we send a link to",
        "Send me a link",
    ),
    "P2": (
        "You are unsubscribed",
        "All marketing emails",
        "Now. An email already on its way may still arrive today.",
        "Appointment times, results notices, receipts and safety notices",
        "Do you get our texts or push messages too?",
        "Stop those as well",
        "Undo: send me these emails again",
        "Choose only the emails I want",
        "Email me a record of this",
    ),
    "P2b": (
        "You were already unsubscribed",
        "Still getting marketing emails?",
        "They may be going to another address of yours, or they may not be from us.",
        "Stop marketing to another address",
        "Tell us about an email you should not have had",
        "See what we send me",
    ),
    "P3": (
        "Choose what we send you",
        "Not your address?",
        "Get a link for yours",
        "Stop all marketing",
        "One press stops email, text and push. It works straight away.",
        "Right now you get",
        "What is new at our centres.",
        "Marketing texts",
        "You can also reply STOP to any text from us.",
        "Push notifications",
        "Only you can turn these on.",
        "You will still get messages you need.",
        "We send those whatever you choose here.",
        "Save my choices",
        "Nothing changes until you save.",
        "Pause everything for 30 days",
        "Don’t send",
    ),
    "P3 saved": ("Your choices are saved", "We stopped <b>Partner offers</b> by email.", "Undo this change"),
    "P4": (
        "Stop or change our messages",
        "You do not need an account, a password or an old email.",
        "Your email address or mobile number",
        "The one our messages go to.",
        "What do you want to do?",
        "Stop all marketing to it",
        "Works straight away. No link needed.",
        "Send me a link to choose what I get",
        "Arrives in a few minutes. The link works for 24 hours.",
        "Continue",
        "We show the same page whether or not we know an address, "
        "so nobody can use it to find out who our patients are.",
    ),
    "P5": (
        "Check your inbox",
        "a link is on its way. It works for 24 hours.",
        "Nothing after 10 minutes?",
        "Look in your spam or junk folder.",
        "Check the address above.",
        "Change it",
        "Try another address we may have for you.",
        "Just want it to stop?",
        "You do not have to wait for the link.",
        "Stop all marketing to this address",
    ),
    "P6": (
        "Marketing to this address is stopped",
        "We will not send marketing to",
        "Email, text and push marketing to this address",
        "Do other addresses of yours get our messages?",
        "Stop marketing to another address",
    ),
    "P7": (
        "This link does not work",
        "Part of it may be missing, or a newer link has replaced it. You can still stop our marketing here.",
    ),
    "P9": (
        "What would you like us to do?",
        "Send me a copy of my data",
        "Correct something",
        "Delete my data",
        "Stop using my data for now (restrict)",
        "Object to a use of my data",
        "Only stop marketing",
    ),
    "P11": (
        "Confirm your choice",
        "Yes, send me these emails",
        "Did not ask for this? Close the page. Nothing has changed.",
    ),
}


def test_the_pages_say_what_the_design_words(world: World) -> None:
    pages = every_page(world)
    missing = []
    for name, texts in WORDING.items():
        page = world.client.get(pages[name]).text.replace("&#39;", "'")
        plain = re.sub(r"</?b>", "", page)
        missing += [(name, text) for text in texts if text not in page and text not in plain]

    assert missing == []
