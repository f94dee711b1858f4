"""Provider webhooks: check the signature, parse, call one service, answer.

No CSRF here: the signature is the proof. Bodies are limited; an unconfigured credential means
403, in development too (contract section 5).
"""

from flask import Blueprint

from webhooks import inbound_mail, sendgrid, twilio

bp = Blueprint("webhooks", __name__, url_prefix="/webhooks")
bp.add_url_rule("/twilio/messages", view_func=twilio.incoming_text, methods=["POST"])
bp.add_url_rule("/twilio/status", view_func=twilio.status, methods=["POST"])
bp.add_url_rule("/sendgrid/events", view_func=sendgrid.events, methods=["POST"])
bp.add_url_rule("/sendgrid/inbound", view_func=inbound_mail.inbound, methods=["POST"])
