"""Tokens as an attacker would make them: any header, any claims, any key, any spelling."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json


def part(value: object) -> str:
    """A part of a token: of JSON, of text as it stands, or of bytes."""
    if not isinstance(value, (str, bytes)):
        value = json.dumps(value)
    raw = value.encode() if isinstance(value, str) else value
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unsigned(header: object, claims: object, signature: str = "") -> str:
    """A token with a signature that is none."""
    return f"{part(header)}.{part(claims)}.{signature}"


def hs256(header: object, claims: object, secret: bytes, digest: str = "sha256") -> str:
    """A token signed under a secret, whatever its header says."""
    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(hmac.new(secret, signed.encode(), digest).digest())}"


def rs256(header: object, claims: object, key) -> str:
    """A token signed by an RSA key, whatever its header says."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    signed = f"{part(header)}.{part(claims)}"
    return f"{signed}.{part(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def es256(header: object, claims: object, key) -> str:
    """A token signed by a key on P-256, whatever its header says."""
    import jwt

    signed = f"{part(header)}.{part(claims)}"
    algorithm = jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256)
    return f"{signed}.{part(algorithm.sign(signed.encode(), key))}"


def thumbprint(text: str) -> str:
    """A name for something, in a header."""
    return hashlib.sha256(text.encode()).hexdigest()
