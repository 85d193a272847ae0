"""Who may ask: everyone, unless a password is configured."""

import base64
import binascii
import hmac


class Denied(Exception):
    """User and password are not the configured ones."""

    def __init__(self, user: str):
        super().__init__(f"Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is "
                         "no user with such name. (AUTHENTICATION_FAILED)")


class Access:
    """The one user and its password; without a password, anyone."""

    def __init__(self, user: str, password: str):
        self.user, self.password = user, password

    def check(self, arguments: dict[str, str], headers):
        """Raises `Denied`, wherever the credentials stand: X-ClickHouse-… headers, basic authentication or the URL."""
        if not self.password:
            return
        user, password = credentials(arguments, headers)
        if user != self.user or not hmac.compare_digest(password.encode(), self.password.encode()):
            raise Denied(user)


def credentials(arguments: dict[str, str], headers) -> tuple[str, str]:
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        return headers.get("X-ClickHouse-User") or "default", headers.get("X-ClickHouse-Key") or ""
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise Denied("") from error
        return user, password
    return arguments.get("user") or "default", arguments.get("password") or ""
