"""An identity provider: OpenID Connect's authorisation code flow on a real socket, with really signed tokens."""

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.serving import make_server

CLIENT, SECRET = "prefs", "client-secret"


@dataclass
class IdentityProvider:
    """Signs in whoever ``person`` says; ``spoil`` changes claims, ``key`` may be swapped for one nobody knows."""

    url: str = ""
    person: dict[str, Any] = field(default_factory=dict)
    spoil: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, parameters={"kid": "k1"}))
    published: RSAKey | None = None
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)

    def answer(self, location: str) -> str:
        """Do what a browser and a person would do at the provider: returns the way back, path and query."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        self.asked.append(query)
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        back = urlsplit(query["redirect_uri"])
        return f"{back.path}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "u-1", "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        claims |= {"auth_time": now, **self.person, **self.spoil}
        return jwt.encode({"alg": "RS256", "kid": "k1"}, {k: v for k, v in claims.items() if v is not None}, self.key)

    def app(self) -> Flask:
        app = Flask("identity")

        @app.get("/.well-known/openid-configuration")
        def metadata() -> Response:
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
            return jsonify({"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in names.items()}})

        @app.get("/keys")
        def keys() -> Response:
            return jsonify(KeySet([self.published or self.key]).as_dict(private=False))

        @app.get("/authorize")
        def authorize() -> Any:
            return redirect(request.args["redirect_uri"].rpartition("/admin")[0] + self.answer(request.url), 303)

        @app.post("/token")
        def token() -> Any:
            asked = self.codes.pop(request.form.get("code", ""), None)
            given = request.authorization
            known = given is not None and (given.username, given.password) == (CLIENT, SECRET)
            digest = hashlib.sha256(request.form.get("code_verifier", "").encode()).digest()
            challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
            if asked is None or not known or asked.get("code_challenge") != challenge:
                return jsonify({"error": "invalid_grant"}), 400
            return jsonify({"access_token": "x", "token_type": "Bearer", "id_token": self.token(asked)})

        return app

    @contextmanager
    def serving(self) -> Iterator["IdentityProvider"]:
        server = make_server("127.0.0.1", 0, self.app(), threaded=True)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
