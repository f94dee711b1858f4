"""The composition root: ``build(settings)`` makes every service, and nothing else does. No Flask."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prefs.config import Settings
from prefs.crypto import AddressKeys, Keyring, Vault, parse_secret_keys
from prefs.domain.roles import Role
from prefs.domain.terms import Channel, MessageClass, Source
from prefs.links import Links
from prefs.providers.oidc import OidcClient
from prefs.providers.outbox import Outbox
from prefs.services import export_desk as exporting
from prefs.services import imports as importing
from prefs.services import scrub_jobs as scrubbing
from prefs.services.access import AccessFiles
from prefs.services.approvals import Approvals
from prefs.services.audit import Audit
from prefs.services.backlog import Backlog
from prefs.services.catalogue import Catalogues
from prefs.services.certificates import Certificates
from prefs.services.confirming import Confirming
from prefs.services.consent_rows import ConsentRows
from prefs.services.contact_choices import ContactChoices
from prefs.services.contacts import Contacts
from prefs.services.decisions import Decisions, Receipts
from prefs.services.erasure import Erasures
from prefs.services.errands import Errands
from prefs.services.export_desk import ExportDesk
from prefs.services.exports import Exports
from prefs.services.figures import Figures
from prefs.services.hash_lists import HashLists
from prefs.services.import_wizard import ImportWizard
from prefs.services.imports import Imports
from prefs.services.inbound import Inbound, InboundText
from prefs.services.journal import Journal
from prefs.services.keys import ApiKeys
from prefs.services.kit import Kit
from prefs.services.letters import Letters
from prefs.services.linking import Linking
from prefs.services.mail_events import MailEvents
from prefs.services.mail_sync import MailSync
from prefs.services.mailbox import Mailbox
from prefs.services.metrics import Metrics
from prefs.services.numbers import Numbers
from prefs.services.organisation import Organisation
from prefs.services.outgoing import Outgoing
from prefs.services.passwords import Passwords
from prefs.services.persons import Persons
from prefs.services.preferences import Preferences
from prefs.services.providers import TEXT_CHANNELS, Provider, Providers
from prefs.services.pushing import Pushes
from prefs.services.rectifying import Rectifying
from prefs.services.requests import Requests
from prefs.services.retention import Retention
from prefs.services.rights import Rights
from prefs.services.scrub import Scrub
from prefs.services.scrub_jobs import ScrubJobs
from prefs.services.sealing import Sealing
from prefs.services.sending import Sending
from prefs.services.sessions import Sessions
from prefs.services.signals import Signals
from prefs.services.single_sign_on import SingleSignOn
from prefs.services.snapshots import Snapshots
from prefs.services.staff import Team
from prefs.services.standing_index import StandingIndex
from prefs.services.stop_list import StopList
from prefs.services.stop_page import StopPage
from prefs.services.stopping import Seen
from prefs.services.suppression import Suppressions
from prefs.services.sync import Sync
from prefs.services.telling import Telling
from prefs.services.texts import Texts
from prefs.services.unsubscribe import Unsubscribe
from prefs.services.upkeep import Upkeep
from prefs.services.waiting import Waiting
from prefs.services.wordings import Wordings
from prefs.services.worker import Worker
from prefs.storage.base import Clock, Store, utc_now

if TYPE_CHECKING:
    from prefs.providers.ports import EmailProvider, Recipients, TextProvider
    from prefs.providers.twilio import TwilioTexts


@dataclass(frozen=True, slots=True)
class Services:
    """Everything an edge may call."""

    settings: Settings
    kit: Kit
    keys: ApiKeys
    decisions: Decisions
    unsubscribe: Unsubscribe
    preferences: Preferences
    stop_page: StopPage
    confirming: Confirming
    rights: Rights
    requests: Requests
    erasures: Erasures
    rectifying: Rectifying
    copies: AccessFiles
    signals: Signals
    mailbox: Mailbox
    wordings: Wordings
    retention: Retention
    suppressions: Suppressions
    contacts: Contacts
    numbers: Numbers
    contact_choices: ContactChoices
    inbound: Inbound
    mail_events: MailEvents
    texts: Texts
    sending: Sending
    linking: Linking
    journal: Journal
    outbox: Outbox
    worker: Worker
    upkeep: Upkeep
    imports: Imports
    import_wizard: ImportWizard
    exports: Exports
    export_desk: ExportDesk
    sealing: Sealing
    scrub: Scrub
    scrub_jobs: ScrubJobs
    snapshots: Snapshots
    sync: Sync | None
    mail_sync: MailSync | None
    metrics: Metrics
    team: Team
    sessions: Sessions
    audit: Audit
    approvals: Approvals
    persons: Persons
    letters: Letters
    stop_list: StopList
    outgoing: Outgoing
    waiting: Waiting
    figures: Figures
    providers: Providers
    pushes: Pushes
    backlog: Backlog
    single_sign_on: SingleSignOn | None

    @property
    def base_url(self) -> str:
        """The public origin, without a slash at its end."""
        return self.settings.base_url


def _journal_handlers(
    unsubscribe: Unsubscribe, preferences: Preferences, stop_page: StopPage, inbound: Inbound
) -> dict[str, Callable[[dict[str, Any]], None]]:
    """Return who applies what the journal holds, by kind."""

    def seen(item: dict[str, Any]) -> Seen:
        return Seen(item.get("page") or {}, item.get("device") or {}, item.get("key") or "")

    return {
        "one_click": lambda item: _drop(unsubscribe.by_link(item["token"], source=Source.ONE_CLICK, seen=seen(item))),
        "page_stop": lambda item: _drop(unsubscribe.by_page(item["token"], item["scope"], seen=seen(item))),
        "ticks_stop": lambda item: _drop(unsubscribe.by_ticks(item["token"], item["topics"], seen=seen(item))),
        "choices_stop": lambda item: _drop(preferences.stop_all(item["token"], item["scope"], seen=seen(item))),
        "choices_save": lambda item: _drop(
            preferences.save(
                item["token"], item["wanted"], item["shown"], 0, may_raise=False, language="en", seen=seen(item)
            )
        ),
        "typed_stop": lambda item: _drop(
            stop_page.stop(stop_page.read(item["typed"]), item["language"], seen=seen(item))
        ),
        "text": lambda item: _drop(inbound.handle_text(InboundText.from_json(item))),
    }


def _drop(_result: object) -> None:
    """Take a result nobody is left to hear."""


def build(settings: Settings, *, now: Clock = utc_now, passwords: Passwords | None = None) -> Services:
    """Return the services for these settings. Opens no connection yet."""
    secret_keys = parse_secret_keys(settings.secret_keys)
    ring = Keyring(secret_keys)
    store = Store(settings.database_url, now)
    links = Links(ring)
    hash_lists = HashLists(store)
    kit = Kit(
        store=store,
        address_keys=AddressKeys(settings.address_keys, hash_lists.present),
        vault=Vault(ring),
        links=links,
        catalogues=Catalogues(store, _messaging_services(settings)),
        default_region=settings.default_region,
    )
    journal = Journal(settings.data_dir / "journal", kit.vault)
    metrics = Metrics(settings.data_dir / "metrics")
    receipts = Receipts(tuple(ring.derive("receipt", key.kid) for key in secret_keys if not key.retired))
    numbers = Numbers(kit)
    decisions = Decisions(kit, numbers, receipts, lambda: store.failing or journal.pending())
    linking = Linking(links, settings.base_url, settings.inbound_mail_domain, store.now)
    organisation = organisation_of(settings)
    outbox = Outbox(kit)
    sending = Sending(
        kit=kit,
        decisions=decisions,
        numbers=numbers,
        linking=linking,
        organisation=organisation,
        email=_email(settings, outbox),
        texts=_texts(settings, outbox),
        base_url=settings.base_url,
    )
    inbound = Inbound(kit, settings.revoke_all_from, organisation, twilio_times=settings.sms_transport == "twilio")
    errands = Errands(kit, sending, linking, organisation)
    recipients = _recipients(settings)
    telling = Telling(kit, recipients)
    suppressions, approvals = Suppressions(kit, errands), Approvals(kit)
    erasures = Erasures(kit, errands, telling, approvals)
    copies = AccessFiles(kit, organisation, _carriers(settings))
    unsubscribe = Unsubscribe(kit, errands)
    preferences = Preferences(kit, errands)
    stop_page = StopPage(kit, errands)
    retention = Retention(kit)
    imports = Imports(kit, hash_lists, ConsentRows(kit), settings.data_dir / "imports")
    exports = Exports(kit)
    export_desk = ExportDesk(kit, exports, settings.data_dir / "exports")
    daily: dict[str, Callable[[dict[str, Any]], None]] = {
        "retention": lambda _payload: _drop((retention.run(), imports.forget_files(), export_desk.forget()))
    }
    sync = Sync(kit, inbound, numbers, _twilio(settings)) if settings.sms_transport == "twilio" else None
    mail_sync = _mail_sync(settings, kit)
    index = StandingIndex(store, settings.data_dir / "scrub")
    scrub = Scrub(kit, decisions, index, Certificates(ring))
    scrub_jobs = ScrubJobs(kit, scrub, settings.data_dir / "scrubs", settings.data_dir / "uploads")
    files = {scrubbing.JOB: scrub_jobs.work, scrubbing.FORGET_JOB: lambda _payload: _drop(scrub_jobs.forget())}
    pushes = Pushes(kit, mail_sync, tuple(recipients))
    providers = Providers(kit, _providers(settings, sync, mail_sync), pushes)
    figures = Figures(kit)
    passwords = passwords or Passwords()
    team = Team(kit, passwords, settings.is_development, settings.org_name)
    journal_handlers = _journal_handlers(unsubscribe, preferences, stop_page, inbound)
    sessions = Sessions(kit, passwords, team)
    return Services(
        settings=settings,
        kit=kit,
        keys=ApiKeys(store, live=not settings.is_development),
        decisions=decisions,
        unsubscribe=unsubscribe,
        preferences=preferences,
        stop_page=stop_page,
        confirming=Confirming(kit),
        rights=Rights(kit, errands, linking, stop_page, copies),
        requests=Requests(kit, errands),
        erasures=erasures,
        rectifying=Rectifying(kit, errands, telling),
        copies=copies,
        signals=Signals(kit),
        mailbox=Mailbox(kit, unsubscribe),
        wordings=Wordings(store),
        retention=retention,
        suppressions=suppressions,
        contacts=Contacts(kit),
        numbers=numbers,
        contact_choices=ContactChoices(kit),
        inbound=inbound,
        mail_events=MailEvents(kit),
        texts=Texts(kit),
        sending=sending,
        linking=linking,
        journal=journal,
        outbox=outbox,
        worker=Worker(
            kit,
            sending,
            hourly=(scrubbing.FORGET_JOB, *(one.job for one in providers.known if one.job)),
            minutely=(figures.add_up, pushes.queue, pushes.watch),
            handlers={
                **errands.handlers(),
                **telling.handlers(),
                **erasures.handlers(),
                **daily,
                **files,
                **providers.handlers(),
                **pushes.handlers(),
                importing.JOB: imports.work,
                importing.UNDO_JOB: imports.work_undo,
                exporting.JOB: export_desk.work,
                **_job_handlers(settings, inbound),
            },
        ),
        upkeep=Upkeep(store, journal, journal_handlers, decisions, Sealing(store, metrics.count_entries), metrics),
        imports=imports,
        import_wizard=ImportWizard(kit, imports, approvals),
        exports=exports,
        export_desk=export_desk,
        sealing=Sealing(store),
        scrub=scrub,
        scrub_jobs=scrub_jobs,
        snapshots=Snapshots(kit, decisions, index),
        sync=sync,
        mail_sync=mail_sync,
        metrics=metrics,
        team=team,
        sessions=sessions,
        single_sign_on=_single_sign_on(settings, kit, sessions, team),
        audit=Audit(store),
        approvals=approvals,
        persons=Persons(kit, decisions),
        letters=Letters(kit, errands),
        stop_list=StopList(kit, suppressions, approvals),
        outgoing=Outgoing(kit, decisions),
        waiting=Waiting(kit),
        figures=figures,
        providers=providers,
        pushes=pushes,
        backlog=Backlog(kit),
    )


def _single_sign_on(settings: Settings, kit: Kit, sessions: Sessions, team: Team) -> SingleSignOn | None:
    if not settings.oidc_issuer:
        return None
    back = f"{settings.base_url}/admin/sign-in/single/back"
    names = (settings.oidc_issuer, settings.oidc_client_id or "", settings.oidc_client_secret or "")
    client = OidcClient(*names, back, settings.oidc_groups_claim)
    roles = {group: Role(role) for group, role in settings.oidc_roles.items()}
    return SingleSignOn(kit, client, sessions, team, roles)


def _providers(settings: Settings, sync: Sync | None, mail_sync: MailSync | None) -> list[Provider]:
    """Return who carries messages for us, as the console shows them."""
    email, texts = (Channel.EMAIL,), TEXT_CHANNELS
    found = {
        "sendgrid": Provider("sendgrid", "SendGrid", "Mail out, opt-outs in as they happen", email),
        "smtp": Provider("smtp", "Mail server", "Mail out by SMTP", email),
        "outbox": Provider("outbox", "Local outbox", "Development: nothing is really sent", email),
    }
    by_email = found[settings.email_transport]
    if mail_sync is not None:
        said = "Mail out, opt-outs in as they happen, its lists compared hourly and in full once a day"
        compare = lambda dry: mail_sync.run(dry_run=dry)  # noqa: E731  as Twilio's below
        by_email = replace(by_email, does=said, compare=compare, job="sync_sendgrid")
    if sync is not None:
        said = "Texts out, STOP replies in, its log compared hourly"
        return [by_email, Provider("twilio", "Twilio", said, texts, lambda dry: sync.run(dry_run=dry), "sync_twilio")]
    if settings.email_transport == "outbox":
        return [replace(by_email, channels=email + texts)]
    return [by_email, replace(found["outbox"], channels=texts)]


def _mail_sync(settings: Settings, kit: Kit) -> MailSync | None:
    if settings.email_transport != "sendgrid":
        return None
    from prefs.providers.sendgrid import SendGridLists  # noqa: PLC0415  the SDK loads only where it is used

    lists = SendGridLists(settings.sendgrid_api_key or "", base_url=settings.sendgrid_api_base_url)
    return MailSync(kit, lists, settings.push_suppressions)


def organisation_of(settings: Settings) -> Organisation:
    """Return who we are, as the settings say it."""
    return Organisation(settings.org_name, settings.org_postal_address, settings.org_phone, settings.privacy_email)


def _messaging_services(settings: Settings) -> dict[MessageClass, str]:
    found = {
        MessageClass.MARKETING: settings.twilio_marketing_messaging_service_sid,
        MessageClass.TRANSACTIONAL: settings.twilio_transactional_messaging_service_sid,
    }
    return {kind: sid for kind, sid in found.items() if sid}


def _email(settings: Settings, outbox: Outbox) -> "EmailProvider":
    if settings.email_transport == "sendgrid":
        from prefs.providers.sendgrid import SendGridEmail  # noqa: PLC0415  the SDK loads only where it is used

        return SendGridEmail(settings.sendgrid_api_key or "", base_url=settings.sendgrid_api_base_url)
    if settings.email_transport == "smtp":
        from prefs.providers.smtp import SmtpEmail  # noqa: PLC0415  loads only where it is used

        return SmtpEmail(settings.smtp_url or "")
    return outbox


def _texts(settings: Settings, outbox: Outbox) -> "TextProvider":
    return _twilio(settings) if settings.sms_transport == "twilio" else outbox


def _recipients(settings: Settings) -> "dict[str, Recipients]":
    """Return the providers that hold data of people, and can be told about them."""
    found: dict[str, Recipients] = {}
    if settings.email_transport == "sendgrid":
        from prefs.providers.sendgrid import SendGridRecipients  # noqa: PLC0415  the SDK loads only where it is used

        found["sendgrid"] = SendGridRecipients(settings.sendgrid_api_key or "", base_url=settings.sendgrid_api_base_url)
    if settings.sms_transport == "twilio":
        found["twilio"] = _twilio(settings)
    return found


def _carriers(settings: Settings) -> dict[str, str]:
    """Return who carries our messages, by channel; the local outbox sends nothing to anybody."""
    names = {"email": settings.email_transport, "sms": settings.sms_transport}
    return {channel: name for channel, name in names.items() if name != "outbox"}


def _twilio(settings: Settings) -> "TwilioTexts":
    from prefs.providers.twilio import TwilioTexts  # noqa: PLC0415  the SDK loads only where it is used

    return TwilioTexts(
        settings.twilio_account_sid or "", settings.twilio_auth_tokens[0], base_url=settings.twilio_api_base_url
    )


def _job_handlers(settings: Settings, inbound: Inbound) -> dict[str, Callable[[dict[str, Any]], None]]:
    if settings.sms_transport != "twilio":
        return {}
    return {"twilio_times": lambda payload: inbound.settle_times(payload, _twilio(settings).message_times)}
