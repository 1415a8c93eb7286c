"""Keys of tokens. Each is bound to one algorithm, so that no token can say what a key is to be used as."""

from __future__ import annotations

from typing import Any

from kalamdb.auth.hidden import Hidden
from kalamdb.errors import InvalidSetting

ALGORITHMS = ("HS256", "RS256", "ES256")
"""Those that there are here; `none` is not among them."""
SECRET_BYTES_MIN = 32
RSA_BITS_MIN = 2048
_DIFFERENT_BYTES_MIN = 8


class VerifyingKey(Hidden):
    """`material`: what PyJWT takes for this algorithm, bytes or a public key of cryptography."""

    __slots__ = ("algorithm", "material")

    def __init__(self, algorithm: str, material: Any) -> None:
        self.algorithm = algorithm
        self.material = material


class SigningKey(Hidden):
    """`material`: bytes or a private key. `verifying`: its other half, or the same secret."""

    __slots__ = ("algorithm", "material", "verifying")

    def __init__(self, algorithm: str, material: Any, verifying: VerifyingKey) -> None:
        self.algorithm = algorithm
        self.material = material
        self.verifying = verifying


def secret_key(secret: bytes, where: str) -> SigningKey:
    """HS256 under a secret. `where`: what an error calls it. Raises InvalidSetting for one that can be guessed."""
    secret = secret.strip()
    if len(secret) < SECRET_BYTES_MIN or len(set(secret)) < _DIFFERENT_BYTES_MIN:
        raise InvalidSetting(
            f"{where} is too weak: it has {SECRET_BYTES_MIN} random bytes or more; openssl rand -base64 48 makes one"
        )
    if b"-----BEGIN" in secret:
        # Who has the public half of a key could sign.
        raise InvalidSetting(f"{where} is a key in PEM; a shared secret is random bytes")
    return SigningKey("HS256", secret, VerifyingKey("HS256", secret))


def private_key(pem: bytes, where: str) -> SigningKey:
    """RS256 for an RSA key, ES256 for one on P-256. Raises InvalidSetting for any other."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Without the cause, which may quote the file.
        raise InvalidSetting(f"{where} is no private key in PEM without a passphrase") from None
    algorithm = algorithm_of(key.public_key())
    if algorithm is None:
        raise InvalidSetting(f"{where} is neither an RSA key of {RSA_BITS_MIN} bits or more nor one on P-256")
    return SigningKey(algorithm, key, VerifyingKey(algorithm, key.public_key()))


def algorithm_of(public_key: object) -> str | None:
    """The one algorithm that a public key of cryptography is for here, or None."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if isinstance(public_key, RSAPublicKey) and public_key.key_size >= RSA_BITS_MIN:
        return "RS256"
    if isinstance(public_key, EllipticCurvePublicKey) and isinstance(public_key.curve, SECP256R1):
        return "ES256"
    return None
